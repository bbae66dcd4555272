// SPDX-License-Identifier: GPL-2.0-only
#include "core/drops.hpp"

#include <gtest/gtest.h>
#include <string>

namespace vethtrace {
namespace {

TEST(Drops, HarmNobodyWhenTcpLetsGoOfWhatHasNoData) {
    for (const char *reason :
         {"QUEUE_PURGE", "SOCKET_CLOSE", "TCP_OLD_ACK", "TCP_TOO_OLD_ACK", "TCP_RFC7323_PAWS_ACK",
          "TCP_INVALID_SEQUENCE", "TCP_INVALID_END_SEQUENCE", "TCP_CLOSE", "TCP_RESET", "TCP_ABORT_ON_DATA"})
        EXPECT_EQ(harmless_when(reason), (HarmlessWhen{.without_payload = true})) << reason;
}

// Such a multicast is freed with no reason, as data are that TCP has no use for.
TEST(Drops, HarmNobodyWhenAMulticastIsNotWanted) {
    for (const char *reason : {"UNNAMED", "NOT_SPECIFIED"})
        EXPECT_EQ(harmless_when(reason), (HarmlessWhen{.without_payload = true, .multicast = true})) << reason;
    EXPECT_EQ(harmless_when("IPV6DISABLED"), (HarmlessWhen{.multicast = true}));
}

TEST(Drops, HarmNobodyWhenTheSameDataHadCome) {
    for (const char *reason : {"TCP_OLD_DATA", "TCP_OLD_SEQUENCE", "TCP_OFOMERGE", "TCP_OFO_DROP"})
        EXPECT_EQ(harmless_when(reason), (HarmlessWhen{.without_payload = true, .always_tcp = true})) << reason;
}

TEST(Drops, HarmNobodyWhenAPingHasItsCopy) {
    EXPECT_EQ(harmless_when("NO_SOCKET"), (HarmlessWhen{.icmp = true}))
        << "for TCP and UDP somebody has asked, and nobody was there";
}

// All that 6.18 and 7.3 have beside those above.
TEST(Drops, AreLossesOtherwise) {
    for (const char *reason : {"SOCKET_FILTER",
                               "SOCKET_RCVBUFF",
                               "PKT_TOO_SMALL",
                               "TCP_CSUM",
                               "UDP_CSUM",
                               "NETFILTER_DROP",
                               "OTHERHOST",
                               "IP_CSUM",
                               "IP_INHDR",
                               "IP_RPFILTER",
                               "UNICAST_IN_L2_MULTICAST",
                               "XFRM_POLICY",
                               "IP_NOPROTO",
                               "PROTO_MEM",
                               "TCP_AUTH_HDR",
                               "TCP_MD5NOTFOUND",
                               "TCP_MD5UNEXPECTED",
                               "TCP_MD5FAILURE",
                               "TCP_AONOTFOUND",
                               "TCP_AOUNEXPECTED",
                               "TCP_AOKEYNOTFOUND",
                               "TCP_AOFAILURE",
                               "SOCKET_BACKLOG",
                               "TCP_FLAGS",
                               "TCP_ZEROWINDOW",
                               "TCP_OVERWINDOW",
                               "TCP_RFC7323_PAWS",
                               "TCP_RFC7323_TW_PAWS",
                               "TCP_RFC7323_TSECR",
                               "TCP_LISTEN_OVERFLOW",
                               "TCP_INVALID_ACK_SEQUENCE",
                               "TCP_INVALID_SYN",
                               "TCP_FASTOPEN",
                               "TCP_ACK_UNSENT_DATA",
                               "TCP_OFO_QUEUE_PRUNE",
                               "IP_OUTNOROUTES",
                               "BPF_CGROUP_EGRESS",
                               "NEIGH_CREATEFAIL",
                               "NEIGH_FAILED",
                               "NEIGH_QUEUEFULL",
                               "NEIGH_DEAD",
                               "NEIGH_HH_FILLFAIL",
                               "TC_EGRESS",
                               "SECURITY_HOOK",
                               "QDISC_DROP",
                               "QDISC_OVERLIMIT",
                               "QDISC_CONGESTED",
                               "CAKE_FLOOD",
                               "FQ_BAND_LIMIT",
                               "FQ_HORIZON_LIMIT",
                               "FQ_FLOW_LIMIT",
                               "CPU_BACKLOG",
                               "XDP",
                               "TC_INGRESS",
                               "UNHANDLED_PROTO",
                               "SKB_CSUM",
                               "SKB_GSO_SEG",
                               "DEV_HDR",
                               "DEV_READY",
                               "FULL_RING",
                               "NOMEM",
                               "HDR_TRUNC",
                               "ICMP_CSUM",
                               "INVALID_PROTO",
                               "IP_INADDRERRORS",
                               "IP_INNOROUTES",
                               "IP_LOCAL_SOURCE",
                               "IP_INVALID_SOURCE",
                               "IP_LOCALNET",
                               "IP_INVALID_DEST",
                               "PKT_TOO_BIG",
                               "DUP_FRAG",
                               "FRAG_REASM_TIMEOUT",
                               "FRAG_TOO_FAR",
                               "TCP_MINTTL",
                               "PFMEMALLOC",
                               "RECURSION_LIMIT",
                               "MACVLAN_BROADCAST_BACKLOG",
                               "IPVLAN_MULTICAST_BACKLOG",
                               "QDISC_BURST_DROP",
                               "BLACKHOLE",
                               "CONSUMED",
                               "a reason that is yet to come",
                               ""})
        EXPECT_EQ(harmless_when(reason), HarmlessWhen()) << reason;
}

} // namespace
} // namespace vethtrace
