// SPDX-License-Identifier: GPL-2.0-only
//
// The counters are those of a 6.18 in whose namespace a listener with a full queue was asked three times for a
// connection, and two sockets with small buffers were sent 20 and 10 datagrams; the expected values are what `nstat
// -az` said.
#include "watch/target_counters.hpp"

#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

namespace vethtrace {
namespace {

namespace fs = std::filesystem;

const std::string netstat =
    "TcpExt: SyncookiesSent SyncookiesRecv SyncookiesFailed EmbryonicRsts PruneCalled RcvPruned "
    "OfoPruned OutOfWindowIcmps LockDroppedIcmps ArpFilter TW TWRecycled TWKilled PAWSActive PAWSEstab "
    "BeyondWindow TSEcrRejected PAWSOldAck PAWSTimewait DelayedACKs DelayedACKLocked DelayedACKLost "
    "ListenOverflows ListenDrops TCPHPHits TCPPureAcks TCPHPAcks TCPRenoRecovery TCPSackRecovery "
    "TCPSACKReneging TCPSACKReorder TCPRenoReorder TCPTSReorder TCPFullUndo TCPPartialUndo TCPDSACKUndo "
    "TCPLossUndo TCPLostRetransmit TCPRenoFailures TCPSackFailures TCPLossFailures TCPFastRetrans "
    "TCPSlowStartRetrans TCPTimeouts TCPLossProbes TCPLossProbeRecovery TCPRenoRecoveryFail "
    "TCPSackRecoveryFail TCPRcvCollapsed TCPBacklogCoalesce TCPDSACKOldSent TCPDSACKOfoSent TCPDSACKRecv "
    "TCPDSACKOfoRecv TCPAbortOnData TCPAbortOnClose TCPAbortOnMemory TCPAbortOnTimeout TCPAbortOnLinger "
    "TCPAbortFailed TCPMemoryPressures TCPMemoryPressuresChrono TCPSACKDiscard TCPDSACKIgnoredOld "
    "TCPDSACKIgnoredNoUndo TCPSpuriousRTOs TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure TCPSackShifted "
    "TCPSackMerged TCPSackShiftFallback TCPBacklogDrop PFMemallocDrop TCPMinTTLDrop TCPDeferAcceptDrop "
    "IPReversePathFilter TCPTimeWaitOverflow TCPReqQFullDoCookies TCPReqQFullDrop TCPRetransFail "
    "TCPRcvCoalesce TCPOFOQueue TCPOFODrop TCPOFOMerge TCPChallengeACK TCPSYNChallenge TCPFastOpenActive "
    "TCPFastOpenActiveFail TCPFastOpenPassive TCPFastOpenPassiveFail TCPFastOpenListenOverflow "
    "TCPFastOpenCookieReqd TCPFastOpenBlackhole TCPSpuriousRtxHostQueues BusyPollRxPackets "
    "TCPAutoCorking TCPFromZeroWindowAdv TCPToZeroWindowAdv TCPWantZeroWindowAdv TCPSynRetrans "
    "TCPOrigDataSent TCPHystartTrainDetect TCPHystartTrainCwnd TCPHystartDelayDetect TCPHystartDelayCwnd "
    "TCPACKSkippedSynRecv TCPACKSkippedPAWS TCPACKSkippedSeq TCPACKSkippedFinWait2 TCPACKSkippedTimeWait "
    "TCPACKSkippedChallenge TCPWinProbe TCPKeepAlive TCPMTUPFail TCPMTUPSuccess TCPDelivered "
    "TCPDeliveredCE TCPAckCompressed TCPZeroWindowDrop TCPRcvQDrop TCPWqueueTooBig "
    "TCPFastOpenPassiveAltKey TcpTimeoutRehash TcpDuplicateDataRehash TCPDSACKRecvSegs "
    "TCPDSACKIgnoredDubious TCPMigrateReqSuccess TCPMigrateReqFailure TCPPLBRehash TCPAORequired "
    "TCPAOBad TCPAOKeyNotFound TCPAOGood TCPAODroppedIcmps\n"
    "TcpExt: 0 0 0 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0 0 2 0 0 33 33 0 12 0 0 0 0 0 0 0 0 0 0 0 27 0 0 0 0 0 "
    "33 0 0 0 0 0 0 0 0 0 0 0 0 0 3 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0 0 0 0 "
    "0 0 0 0 0 0 0 0 30 6 0 0 0 0 0 0 0 0 0 0 0 0 0 0 12 0 0 0 0 0 0 30 0 0 0 0 0 0 0 0 0 0 0\n"
    "IpExt: InNoRoutes InTruncatedPkts\n"
    "IpExt: 0 0\n";
const std::string snmp =
    "Ip: Forwarding DefaultTTL\n"
    "Ip: 2 64\n"
    "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs "
    "OutSegs "
    "RetransSegs InErrs OutRsts InCsumErrors\n"
    "Tcp: 1 200 120000 -1 9 6 3 0 10 63 33 30 0 0 0\n"
    "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\n"
    "Udp: 0 0 17 21 17 0 0 0 0\n"
    "UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\n"
    "UdpLite: 0 0 0 0 500 0 0 0 0\n";
const std::string snmp6 = "Ip6InReceives                   \t12\n"
                          "Udp6RcvbufErrors                \t7\n"
                          "Udp6InCsumErrors                \t0\n";

TEST(TargetCounters, ReadWhatTheKernelCountsForANamespace) {
    NetCounters expected = {.listen_overflows = 33,
                            .buffer_full = 17 + 7,
                            .retransmitted = 30,
                            .sent_segments = 33,
                            .udp_bad_checksums = 0,
                            .tcp_bad_checksums = 0};
    EXPECT_EQ(parse_net_counters(netstat, snmp, snmp6), expected);
}

TEST(TargetCounters, ReadKernelsWithOtherColumns) {
    NetCounters expected = {.listen_overflows = 5,
                            .buffer_full = 1 + 2 + 4 + 8,
                            .retransmitted = 0,
                            .sent_segments = 0,
                            .udp_bad_checksums = 3 + 16,
                            .tcp_bad_checksums = 0};
    EXPECT_EQ(
        parse_net_counters("TcpExt: TCPRcvQDrop ListenOverflows TCPReqQFullDrop TCPBacklogDrop\nTcpExt: 1 2 3 4\n",
                           "Udp: InCsumErrors RcvbufErrors\nUdp: 3 2\n", "Udp6InCsumErrors 16\nUdp6MemErrors 8\n"),
        expected);
    EXPECT_EQ(parse_net_counters("", "", ""), NetCounters());
    EXPECT_EQ(parse_net_counters("TcpExt: ListenOverflows\n", "Tcp:\nTcp:\n", "x"), NetCounters());
}

TEST(TargetCounters, FindTheHierarchyThatLimitsCpuTime) {
    std::string unified = "22 1 0:20 / /proc rw - proc proc rw\n"
                          "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    EXPECT_EQ(parse_group_mount(unified), (GroupMount{"/sys/fs/cgroup", "/", true}));
    std::string hybrid = "31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                         "32 30 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n";
    EXPECT_EQ(parse_group_mount(unified + hybrid), (GroupMount{"/sys/fs/cgroup/cpu,cpuacct", "/", false}))
        << "the controller is in one of the two hierarchies";
    EXPECT_EQ(parse_group_mount("32 30 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"), std::nullopt);
    EXPECT_EQ(parse_group_mount("30 22 0:26 /host /mnt/a\\040b rw - cgroup2 none rw\n"),
              (GroupMount{"/mnt/a b", "/host", true}));
    EXPECT_EQ(parse_group_mount("nonsense\n"), std::nullopt);
}

TEST(TargetCounters, FindAProcessesGroupBelowWhatIsMounted) {
    std::string text = "9:name=systemd:/a\n2:cpu,cpuacct:/kubepods/podX/c\n0::/system.slice/web.service\n";
    EXPECT_EQ(parse_group(text, {"", "/", true}), "/system.slice/web.service");
    EXPECT_EQ(parse_group(text, {"", "/", false}), "/kubepods/podX/c");
    EXPECT_EQ(parse_group(text, {"", "/kubepods", false}), "/podX/c");
    EXPECT_EQ(parse_group(text, {"", "/kube", false}), std::nullopt);
    EXPECT_EQ(parse_group("0::/../../kubepods/podX\n", {"", "/", true}), std::nullopt) << "of another namespace's root";
    EXPECT_EQ(parse_group("0::/\n", {"", "/", true}), "");
    EXPECT_EQ(parse_group("", {"", "/", true}), std::nullopt);
}

TEST(TargetCounters, ReadThrottlingOfEitherVersion) {
    std::optional<Throttling> two =
        parse_throttling("usage_usec 1\nnr_periods 100\nnr_throttled 9\nthrottled_usec 720001\n"
                         "nr_bursts 0\nburst_usec 0\n");
    ASSERT_TRUE(two);
    EXPECT_EQ(two->periods, 9);
    EXPECT_EQ(two->time, 720'001'000);
    std::optional<Throttling> one = parse_throttling("nr_periods 100\nnr_throttled 9\nthrottled_time 720001234\n");
    ASSERT_TRUE(one);
    EXPECT_EQ(one->periods, 9);
    EXPECT_EQ(one->time, 720'001'234);
    EXPECT_FALSE(parse_throttling("usage_usec 1\nuser_usec 1\n")) << "a group without the controller";
}

// A process and its control groups, as files.
class CountersOf : public testing::Test {
protected:
    CountersOf() : top_(fs::path(testing::TempDir()) / fmt::format("counters.{}", getpid())) {
        fs::remove_all(top_);
        put("proc/7/ns/net", "");
        put("proc/7/net/netstat", netstat);
        put("proc/7/net/snmp", snmp);
        put("proc/7/net/snmp6", snmp6);
        put("proc/self/mountinfo",
            fmt::format("30 22 0:26 / {} rw - cgroup2 cgroup2 rw\n", (top_ / "groups").string()));
        target_.name = "web";
        target_.pid = 7;
        target_.netns = namespace_inode(roots(), top_ / "proc/7/ns/net");
    }
    ~CountersOf() override { fs::remove_all(top_); }

    void put(const fs::path &name, const std::string &text) {
        fs::create_directories((top_ / name).parent_path());
        std::ofstream(top_ / name) << text;
    }
    void group(const std::string &path, const std::string &limit, int periods, int us) {
        put("groups" + path + "/cpu.max", limit + "\n");
        put("groups" + path + "/cpu.stat",
            fmt::format("usage_usec 5\nnr_periods 50\nnr_throttled {}\nthrottled_usec {}\n", periods, us));
    }
    [[nodiscard]] Roots roots() const { return {.proc = top_ / "proc", .any_file = true}; }

    fs::path top_;
    Target target_;
};

TEST_F(CountersOf, AWindowAreWhatHasGrownInIt) {
    put("proc/7/cgroup", "0::/web\n");
    group("/web", "20000 100000", 100, 1'000'000);
    TargetCounters counters(roots());
    WatchSockets sockets;
    ASSERT_TRUE(counters.add_growth(target_, sockets));
    EXPECT_EQ(sockets.listen_overflows + sockets.buffer_full + sockets.retransmitted + sockets.throttled_periods, 0)
        << "all of it was before";
    put("proc/7/net/snmp6", "Udp6RcvbufErrors 11\n");
    put("proc/7/net/snmp", "Tcp: OutSegs RetransSegs InCsumErrors\nTcp: 133 34 2\nUdp: RcvbufErrors\nUdp: 17\n");
    group("/web", "20000 100000", 109, 1'720'000);
    ASSERT_TRUE(counters.add_growth(target_, sockets));
    EXPECT_EQ(sockets.buffer_full, 4);
    EXPECT_EQ(sockets.sent_segments, 100);
    EXPECT_EQ(sockets.retransmitted, 4);
    EXPECT_EQ(sockets.bad_checksums, 2);
    EXPECT_EQ(sockets.listen_overflows, 0);
    EXPECT_EQ(sockets.throttled_periods, 9);
    EXPECT_EQ(sockets.throttled, 720'000'000);
    EXPECT_EQ(sockets.quota, "cpu.max 20000 100000 of /web");
    WatchSockets next;
    ASSERT_TRUE(counters.add_growth(target_, next));
    EXPECT_EQ(next.buffer_full + next.throttled_periods, 0);
    EXPECT_TRUE(next.quota.empty());
}

TEST_F(CountersOf, ATargetTakeTheGroupAboveThatStopsItLonger) {
    put("proc/7/cgroup", "0::/slice/web\n");
    group("/slice", "50000 100000", 0, 0);
    group("/slice/web", "max 100000", 0, 0);
    TargetCounters counters(roots());
    WatchSockets sockets;
    ASSERT_TRUE(counters.add_growth(target_, sockets));
    group("/slice", "50000 100000", 3, 90'000);
    ASSERT_TRUE(counters.add_growth(target_, sockets));
    EXPECT_EQ(sockets.throttled_periods, 3);
    EXPECT_EQ(sockets.quota, "cpu.max 50000 100000 of /slice");
}

TEST_F(CountersOf, APodAreThoseOfItsOtherContainers) {
    const std::string pod = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12.slice";
    put("proc/7/cgroup", "0::" + pod + "/cri-containerd-pause.scope\n");
    group(pod, "max 100000", 0, 0);
    group(pod + "/cri-containerd-pause.scope", "max 100000", 0, 0);
    group(pod + "/cri-containerd-app.scope", "10000 100000", 0, 0);
    TargetCounters counters(roots());
    WatchSockets sockets;
    ASSERT_TRUE(counters.add_growth(target_, sockets));
    group(pod + "/cri-containerd-app.scope", "10000 100000", 10, 900'000);
    ASSERT_TRUE(counters.add_growth(target_, sockets));
    EXPECT_EQ(sockets.throttled_periods, 10);
    EXPECT_EQ(sockets.quota, "cpu.max 10000 100000 of " + pod + "/cri-containerd-app.scope");
}

TEST_F(CountersOf, TheFirstVersionAreInItsOwnFiles) {
    put("proc/self/mountinfo", fmt::format("30 22 0:26 / {} rw - cgroup cgroup rw,cpu\n", (top_ / "groups").string()));
    put("proc/7/cgroup", "4:memory:/other\n1:cpu:/web\n0::/\n");
    put("groups/web/cpu.cfs_quota_us", "10000\n");
    put("groups/web/cpu.cfs_period_us", "100000\n");
    put("groups/web/cpu.stat", "nr_periods 9\nnr_throttled 1\nthrottled_time 5\n");
    TargetCounters counters(roots());
    WatchSockets sockets;
    ASSERT_TRUE(counters.add_growth(target_, sockets));
    put("groups/web/cpu.stat", "nr_periods 9\nnr_throttled 3\nthrottled_time 80000005\n");
    ASSERT_TRUE(counters.add_growth(target_, sockets));
    EXPECT_EQ(sockets.throttled_periods, 2);
    EXPECT_EQ(sockets.throttled, 80'000'000);
    EXPECT_EQ(sockets.quota, "cpu.cfs_quota_us 10000 of 100000 of /web");
}

TEST_F(CountersOf, ANamespaceWithoutItsProcessAreNotKnown) {
    TargetCounters counters(roots());
    WatchSockets sockets;
    Target other = target_;
    other.netns += 1; // the number is another process's now
    EXPECT_FALSE(counters.add_growth(other, sockets));
    other.pid = 0;
    EXPECT_FALSE(counters.read(other));
    EXPECT_TRUE(counters.read(target_)) << "it needs no control group";
}

} // namespace
} // namespace vethtrace
