// SPDX-License-Identifier: GPL-2.0-only
#include "core/ledger.hpp"

#include <gtest/gtest.h>

namespace vethtrace {
namespace {

using namespace layout;

constexpr std::uint64_t transactions = 1000;

Hop hop(Station from, Station to, Stage stage, Nanoseconds ns, std::uint64_t count = transactions) {
    Hop hop{{Direction::request, from, to, stage}, {}};
    for (std::uint64_t i = 0; i < count; ++i)
        hop.time.add(ns);
    hop.events = count;
    return hop;
}

const Station app_send = at(MOMENT_APP_SEND, END_CLIENT);
const Station queue = at(POINT_QUEUE, ROLE_CONTAINER);
const Station xmit = at(POINT_XMIT, ROLE_CONTAINER);
const Station data_ready = at(MOMENT_DATA_READY, END_CLIENT);
const Station app_recv = at(MOMENT_APP_RECV, END_CLIENT);

// Round trips of 1,000 ns whose hops take 300 + 200 + 490 ns, of which tracing adds 100 ns.
RunResult good_result() {
    RunResult result;
    for (std::uint64_t i = 0; i < transactions; ++i)
        result.load.followed_rtt.add(1000);
    result.load.transactions = transactions;
    result.hops = {hop(app_send, queue, Stage::socket_tx, 300), hop(queue, xmit, Stage::qdisc, 200),
                   hop(data_ready, app_recv, Stage::wakeup, 490)};
    std::vector<SlicePair> slices(5, SlicePair{1000, 900, 1000});
    result.observer = correct_hops(result.hops, transactions, slices, {.stamp_ns = 10});
    result.ledger = make_ledger(result.hops, result.load.followed_rtt, result.observer);
    result.conservation.entered = 2 * transactions;
    result.conservation.completed = 2 * transactions;
    return result;
}

bool mentions(const std::vector<std::string> &faults, const std::string &word) {
    for (const std::string &fault : faults)
        if (fault.find(word) != std::string::npos)
            return true;
    return false;
}

TEST(LedgerTest, SumsMeansAndNamesTheRemainder) {
    RunResult result = good_result();
    EXPECT_DOUBLE_EQ(result.ledger.rtt_mean_ns, 1000);
    EXPECT_DOUBLE_EQ(result.ledger.explained_mean_ns, 990);
    EXPECT_DOUBLE_EQ(result.ledger.unexplained_mean_ns, 10);
    EXPECT_DOUBLE_EQ(result.ledger.explained_ratio, 0.99);
}

TEST(LedgerTest, DividesByTransactionsNotByAHopsOwnCount) {
    std::vector<Hop> hops = {hop(queue, xmit, Stage::qdisc, 500, transactions / 2)};
    EXPECT_DOUBLE_EQ(explained_mean(hops, transactions), 250);
    EXPECT_DOUBLE_EQ(explained_mean(hops, 0), 0);
}

TEST(Correction, SharesTheCostOfTracingByEvents) {
    RunResult result = good_result();
    // 100 ns were added; two readings of the clock (one end of two hops each: 2 x 10 / 2) take 10 ns of them, and the
    // other 90 ns fall on three events.
    EXPECT_DOUBLE_EQ(result.observer.added_ns, 100);
    EXPECT_NEAR(result.observer.added_ratio, 100.0 / 900, 1e-12);
    EXPECT_DOUBLE_EQ(result.observer.events_per_transaction, 3);
    EXPECT_DOUBLE_EQ(result.observer.event_ns, 30);
    EXPECT_DOUBLE_EQ(result.hops[0].observer_ns, 35); // one event and half a reading
    EXPECT_DOUBLE_EQ(result.hops[1].observer_ns, 30);
    EXPECT_DOUBLE_EQ(result.hops[1].corrected_mean_ns, 170);
    EXPECT_DOUBLE_EQ(result.ledger.corrected_sum_ns, 890);
    EXPECT_DOUBLE_EQ(result.ledger.corrected_residual_ns, 10);
}

TEST(Correction, ChargesAKprobeToTheHopThatItEnds) {
    std::vector<Hop> hops = {hop(queue, xmit, Stage::qdisc, 500), hop(xmit, queue, Stage::device_xmit, 300)};
    hops[0].kprobes = transactions;
    std::vector<SlicePair> slices(5, SlicePair{1000, 900, 1000});
    Observer observer = correct_hops(hops, transactions, slices, {.kprobe_extra_ns = 40});
    EXPECT_DOUBLE_EQ(observer.event_ns, 30); // 100 - 40 ns on two events
    EXPECT_DOUBLE_EQ(hops[0].corrected_mean_ns, 500 - 30 - 40);
    EXPECT_DOUBLE_EQ(hops[1].corrected_mean_ns, 300 - 30);
}

TEST(Correction, IsNeverNegative) {
    std::vector<Hop> hops = {hop(queue, xmit, Stage::qdisc, 500)};
    std::vector<SlicePair> slices(3, SlicePair{900, 1000, 900});
    Observer observer = correct_hops(hops, transactions, slices, {.stamp_ns = 10});
    EXPECT_DOUBLE_EQ(observer.added_ns, -100);
    EXPECT_DOUBLE_EQ(observer.event_ns, 0);
    EXPECT_DOUBLE_EQ(hops[0].corrected_mean_ns, 500);
}

TEST(Correction, IsNotMovedByOneDisturbedSlice) {
    std::vector<Hop> hops = {hop(queue, xmit, Stage::qdisc, 500)};
    std::vector<SlicePair> slices = {
        {1000, 900, 1000}, {1000, 900, 1000}, {9000, 900, 9000}, {1000, 900, 1000}, {1000, 900, 1000}};
    EXPECT_DOUBLE_EQ(correct_hops(hops, transactions, slices, {}).event_ns, 100);
}

TEST(Faults, AreNotFoundInAGoodResult) {
    EXPECT_EQ(find_faults(good_result()), std::vector<std::string>{});
}

TEST(Faults, NoTransaction) {
    EXPECT_TRUE(mentions(find_faults(RunResult()), "no transaction"));
}

TEST(Faults, PacketsThatDoNotBalance) {
    RunResult result = good_result();
    result.conservation.completed -= 2; // 0.1 % of 2,000: still allowed
    EXPECT_TRUE(find_faults(result).empty());
    result.conservation.completed -= 1;
    EXPECT_TRUE(mentions(find_faults(result), "not balanced: 2000 entered, 1997"));
}

TEST(Faults, EveryNamedEndBalances) {
    RunResult result = good_result();
    result.conservation.completed -= 1000;
    result.conservation.dropped["NETFILTER_DROP"] = 400;
    result.conservation.evicted = 300;
    result.conservation.merged = 200;
    result.conservation.in_flight = 100;
    EXPECT_TRUE(result.conservation.balanced());
}

TEST(Faults, AHopThatIsMissing) {
    RunResult result = good_result();
    result.hops[1] = hop(queue, xmit, Stage::qdisc, 200, transactions - 1); // 0.1 %: still allowed
    EXPECT_TRUE(find_faults(result).empty());
    result.hops[1] = hop(queue, xmit, Stage::qdisc, 200, transactions - 2);
    EXPECT_TRUE(mentions(find_faults(result), "queue@container -> xmit@container was seen 998 times"));
}

TEST(Faults, AHopThatIsCountedTwice) {
    RunResult result = good_result();
    result.hops[1] = hop(queue, xmit, Stage::qdisc, 200, transactions + 2);
    EXPECT_TRUE(mentions(find_faults(result), "was seen 1002 times in 1000 transactions"));
}

TEST(Faults, HopsThatOnlySomeMessagesHaveAreNone) {
    RunResult result = good_result();
    Hop segments = hop(queue, queue, Stage::segments, 1, 300);
    segments.name.every_message = false;
    result.hops.push_back(segments);
    EXPECT_TRUE(find_faults(result).empty());
}

TEST(Faults, UnforeseenHops) {
    RunResult result = good_result();
    result.hops.push_back(hop(xmit, queue, Stage::unforeseen, 1, 1));
    EXPECT_TRUE(find_faults(result).empty());
    result.hops.push_back(hop(queue, queue, Stage::unforeseen, 1, 5));
    EXPECT_TRUE(mentions(find_faults(result), "6 packets took a hop that the mode's table does not have"));
    EXPECT_TRUE(mentions(find_faults(result), "most of them queue@container -> queue@container"));
}

TEST(Faults, ALedgerThatDoesNotClose) {
    RunResult result = good_result();
    result.ledger.explained_ratio = 0.95;
    EXPECT_TRUE(find_faults(result).empty());
    result.ledger.explained_ratio = 0.949;
    EXPECT_TRUE(mentions(find_faults(result), "explain 94.9 %"));
    result.ledger.explained_ratio = 1.051;
    EXPECT_TRUE(mentions(find_faults(result), "explain 105.1 %"));
}

TEST(Faults, ACorrectedSumThatMissesTheUntracedRoundTrip) {
    RunResult result = good_result();
    result.ledger.corrected_residual_ns = -28; // 3 % of 900 are 27
    EXPECT_TRUE(mentions(find_faults(result), "without the cost of tracing"));
    result.observer.followed_ci95_ns = 30; // within what this run can tell
    EXPECT_TRUE(find_faults(result).empty());
    result.ledger.corrected_residual_ns = -50; // sqrt(1 + pi/2) x 30 are 48
    EXPECT_TRUE(mentions(find_faults(result), "without the cost of tracing"));
    result.observer.followed_ci95_ns.reset(); // one slice: no interval to hold it against
    EXPECT_TRUE(find_faults(result).empty());
}

} // namespace
} // namespace vethtrace
