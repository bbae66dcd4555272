// SPDX-License-Identifier: GPL-2.0-only
//
// What is watched, found in real namespaces: each device is its owner's, however alike their numbers are, and what
// cannot be seen of a link is said. Nothing is traced here.
#include "native/native.hpp"
#include "netns/netns.hpp"
#include "watch/targets.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <set>

namespace vethtrace::test {
namespace {

using namespace layout;

class NativeTargets : public Native {
protected:
    void SetUp() override {
        Native::SetUp();
        if (IsSkipped())
            return;
        add("host");
        home_ = InNamespace::enter(Netns::open(name("host"))->fd()); // of the finder, too
        ASSERT_TRUE(home_ && *home_);
    }
    void TearDown() override {
        home_.reset();
        for (const std::string &each : Netns::list(prefix_ + "-"))
            (void)Netns::remove(each);
    }

    [[nodiscard]] std::string name(const std::string &of) const { return prefix_ + "-" + of; }
    [[nodiscard]] std::uint32_t inode(const std::string &of) const { return Netns::open(name(of))->inode(); }
    void add(const std::string &of) const { sh("ip netns add @" + of); }
    // A script in which "@web" is this test's namespace of that name.
    bool try_sh(std::string script) const {
        for (std::size_t at = script.find('@'); at != std::string::npos; at = script.find('@', at))
            script.replace(at, 1, prefix_ + "-");
        return run({"sh", "-ec", script}).status == 0;
    }
    void sh(const std::string &script) const { EXPECT_TRUE(try_sh(script)) << script; }

    [[nodiscard]] Selection select(const std::vector<std::string> &names) const {
        Selection selection;
        for (const std::string &each : names)
            selection.netns.emplace_back(NetnsName{name(each)});
        return selection;
    }
    // The only target.
    Target find(const std::string &of) {
        Result<Found> found = TargetFinder(select({of})).find();
        EXPECT_TRUE(found && found->targets.size() == 1);
        found_ = found ? *found : Found();
        return found && !found->targets.empty() ? found->targets.front() : Target();
    }
    // A device of the node in the last find().
    [[nodiscard]] std::optional<WatchedDevice> in_node(const std::string &netns, const std::string &device) const {
        std::uint32_t number = inode(netns);
        for (const WatchedDevice &each : found_.node)
            if (each.netns == number && each.name == device)
                return each;
        return std::nullopt;
    }

    std::string prefix_ = fmt::format("vtt{}", getpid());
    std::optional<Result<InNamespace>> home_;
    Found found_;
};

// As "role name" of those in a namespace.
std::set<std::string> devices_in(const Target &target, std::uint32_t netns) {
    std::set<std::string> names;
    for (const WatchedDevice &device : target.devices)
        if (device.netns == netns)
            names.insert(fmt::format("{} {}", name_of(device.role), device.name));
    return names;
}

using Devices = std::set<std::string>;

// Half of the containers are the host's. The other half are in a container, whose ends have the same numbers and lead
// to the same numbers as the host's ends.
TEST_F(NativeTargets, HaveTheirOwnDevicesThoughAllNumbersAreEqual) {
    constexpr int pairs = 20;
    std::vector<std::string> names = {"outer"};
    add("outer");
    std::string script;
    for (int i = 1; i <= pairs; ++i)
        for (const auto &[beside, kind] : {std::pair{"host", "c"}, {"outer", "n"}}) {
            names.push_back(fmt::format("{}{}", kind, i));
            script += fmt::format("ip netns add @{2}; ip -n @{0} link add v{1} index {3} type veth peer name eth0 "
                                  "index 50 netns @{2}\n",
                                  beside, i, names.back(), 100 + i);
        }
    sh(script);
    TargetFinder finder(select(names));
    Result<Found> found = finder.find();
    ASSERT_TRUE(found) << found.error().text();
    ASSERT_EQ(found->targets.size(), names.size());
    std::set<std::pair<std::uint32_t, int>> taken;
    for (const Target &target : found->targets)
        for (const WatchedDevice &device : target.devices)
            EXPECT_TRUE(taken.insert({device.netns, device.ifindex}).second) << target.name << " " << device.name;
    for (int i = 1; i <= pairs; ++i)
        for (const auto &[beside, kind] : {std::pair{"host", "c"}, {"outer", "n"}}) {
            std::uint32_t own = inode(fmt::format("{}{}", kind, i));
            auto target = std::find_if(found->targets.begin(), found->targets.end(),
                                       [&](const Target &each) { return each.netns == own; });
            ASSERT_NE(target, found->targets.end());
            EXPECT_EQ(devices_in(*target, own), Devices{"container eth0"}) << target->name;
            EXPECT_EQ(devices_in(*target, inode(beside)), Devices{fmt::format("host v{}", i)}) << target->name;
            EXPECT_EQ(target->devices.size(), 2) << target->name;
            EXPECT_TRUE(target->unseen.empty()) << target->name;
        }
    std::uint64_t dumps = finder.dumps();
    EXPECT_EQ(dumps, names.size());
    ASSERT_TRUE(finder.find());
    EXPECT_EQ(finder.dumps(), dumps) << "nothing has changed";
}

// cases/field-22: two strangers are connected with one another by the very numbers.
TEST_F(NativeTargets, DoNotIncludeStrangersOfEqualNumbers) {
    for (const char *each : {"stranger", "other", "owner"})
        add(each);
    sh("ip -n @stranger link add name v index 7 type veth peer name v index 5 netns @other\n"
       "ip link add up0 index 5 type veth peer name up0 index 7 netns @owner");
    Selection selection;
    selection.interfaces = {"up0"};
    Result<Found> found = TargetFinder(selection).find();
    ASSERT_TRUE(found) << found.error().text();
    ASSERT_EQ(found->targets.size(), 1);
    EXPECT_EQ(found->targets.front().netns, inode("owner"));
    Target stranger = find("stranger");
    EXPECT_EQ(devices_in(stranger, inode("host")), Devices{});
    EXPECT_EQ(devices_in(stranger, inode("other")), Devices{"host v"});
}

TEST_F(NativeTargets, AreFollowedThroughTheContainerThatTheyAreIn) {
    add("outer");
    add("pod");
    add("beside");
    sh("ip link add v0 type veth peer name eth0 netns @outer\n"
       "ip link set v0 up; ip -n @outer link set eth0 up\n"
       "ip -n @outer addr add 192.0.2.2/24 dev eth0; ip -n @outer route add default via 192.0.2.1\n"
       "ip -n @outer link add br0 type bridge\n"
       "ip -n @outer link add p1 type veth peer name eth0 netns @pod; ip -n @outer link set p1 master br0\n"
       "ip -n @outer link add p2 type veth peer name eth0 netns @beside; ip -n @outer link set p2 master br0\n"
       "ip -n @pod addr add 198.51.100.7/24 dev eth0; ip -n @pod addr add 2001:db8::7/64 dev eth0 nodad\n"
       "ip -n @pod link set lo up");
    Target pod = find("pod");
    EXPECT_EQ(pod.mode, Mode::bridge);
    EXPECT_EQ(devices_in(pod, inode("outer")), Devices{"host p1"});
    EXPECT_FALSE(pod.devices.front().is_entry);
    std::vector<IpAddress> addresses = {{4, {198, 51, 100, 7}},
                                        {6, {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7}}};
    EXPECT_EQ(pod.addresses, addresses);

    std::optional<WatchedDevice> v0 = in_node("host", "v0");
    std::optional<WatchedDevice> eth0 = in_node("outer", "eth0");
    std::optional<WatchedDevice> br0 = in_node("outer", "br0");
    std::optional<WatchedDevice> p2 = in_node("outer", "p2");
    ASSERT_TRUE(v0 && eth0 && br0 && p2);
    EXPECT_EQ(v0->role, ROLE_HOST2);
    EXPECT_FALSE(v0->is_last) << "the pod's packets go on";
    EXPECT_EQ(eth0->role, ROLE_UPLINK);
    EXPECT_FALSE(eth0->is_last);
    EXPECT_EQ(br0->role, ROLE_BRIDGE);
    EXPECT_EQ(p2->role, ROLE_HOST2);
    EXPECT_TRUE(p2->is_last) << "another container's";
    find("outer");
    EXPECT_FALSE(in_node("outer", "eth0")) << "it is the target's own";
}

TEST_F(NativeTargets, BeginAtTheirOwnDeviceWhereNothingIsSeenBeforeIt) {
    add("tapped");
    sh("ip -n @tapped tuntap add dev tap0 mode tap; ip -n @tapped link set tap0 up");
    Target tapped = find("tapped");
    ASSERT_EQ(tapped.devices.size(), 1);
    EXPECT_TRUE(tapped.devices.front().is_entry);
    EXPECT_TRUE(tapped.devices.front().is_last);
    ASSERT_EQ(tapped.unseen.size(), 2);
    EXPECT_NE(tapped.unseen.front().why.find("tap0 is fed by a process"), std::string::npos);

    // A namespace that nothing leads to, since only this test holds it.
    add("lost");
    add("end");
    add("child");
    Result<Netns> lost = Netns::open(name("lost"));
    ASSERT_TRUE(lost);
    sh("ip -n @lost link add name v type veth peer name eth0 netns @end\n"
       "ip -n @lost link add name p0 type veth peer name p1; ip -n @lost link set p0 up\n"
       "ip -n @lost link add name m0 link p0 type macvlan mode bridge; ip -n @lost link set m0 netns @child name eth0");
    ASSERT_TRUE(Netns::remove(name("lost")));
    for (const char *each : {"end", "child"}) {
        Target target = find(each);
        ASSERT_EQ(target.devices.size(), 1) << each;
        EXPECT_TRUE(target.devices.front().is_entry) << each;
        EXPECT_FALSE(target.devices.front().is_last) << each;
        ASSERT_FALSE(target.unseen.empty()) << each;
        EXPECT_NE(target.unseen.front().why.find("that no process or name leads to"), std::string::npos)
            << target.unseen.front().why;
    }
}

TEST_F(NativeTargets, OnAParentBeginAtItWhoseverItIs) {
    add("near");
    add("far");
    add("outer");
    sh("ip link add name p0 type veth peer name p1; ip link set p0 up; ip link add name m0 link p0 type macvlan mode "
       "bridge\n"
       "ip link set m0 netns @near name eth0\n"
       "ip -n @outer link add name p0 type veth peer name p1; ip -n @outer link set p0 up\n"
       "ip -n @outer link add name m0 link p0 type macvlan mode bridge; ip -n @outer link set m0 netns @far name eth0");
    for (const auto &[child, parent] : {std::pair{"near", "host"}, {"far", "outer"}}) {
        Target target = find(child);
        EXPECT_EQ(target.mode, Mode::macvlan);
        EXPECT_TRUE(target.unseen.empty()) << child;
        ASSERT_EQ(target.devices.size(), 1);
        EXPECT_FALSE(target.devices.front().is_entry) << child;
        std::optional<WatchedDevice> uplink = in_node(parent, "p0");
        ASSERT_TRUE(uplink) << child;
        EXPECT_EQ(uplink->role, ROLE_UPLINK);
    }
    find("near");
    EXPECT_FALSE(in_node("outer", "p0")) << "it is another container's";
}

TEST_F(NativeTargets, HaveTunnelsAndIfbsOnTheirWay) {
    add("web");
    sh("ip link add br0 type bridge; ip link add v1 type veth peer name eth0 netns @web; ip link set v1 master br0");
    if (!try_sh("ip link add name ifb7 type ifb; ip link add name vx7 type vxlan id 7 dstport 4789 local 192.0.2.1"))
        GTEST_SKIP() << "needs the kernel's ifb and vxlan";
    Target web = find("web");
    EXPECT_EQ(web.mode, Mode::bridge);
    std::optional<WatchedDevice> ifb = in_node("host", "ifb7");
    std::optional<WatchedDevice> vxlan = in_node("host", "vx7");
    ASSERT_TRUE(ifb && vxlan);
    EXPECT_EQ(ifb->role, ROLE_IFB);
    EXPECT_FALSE(ifb->is_last);
    EXPECT_EQ(vxlan->role, ROLE_TUNNEL);
    EXPECT_FALSE(vxlan->is_last);

    Selection selection;
    selection.interfaces = {"vx7"};
    Result<Found> found = TargetFinder(selection).find();
    ASSERT_TRUE(found && found->targets.size() == 1);
    const WatchedDevice &device = found->targets.front().devices.front();
    EXPECT_EQ(device.role, ROLE_TUNNEL);
    EXPECT_TRUE(device.is_entry);
    EXPECT_FALSE(device.is_last);
}

// A container that comes once its neighbour's list is known.
TEST_F(NativeTargets, ThatComeLaterHaveTheirDevicesToo) {
    add("outer");
    add("first");
    add("second");
    sh("ip -n @outer link add v1 index 11 type veth peer name eth0 netns @first");
    TargetFinder finder(select({"first", "second"}));
    ASSERT_TRUE(finder.find());
    ASSERT_TRUE(finder.find());
    sh("ip -n @outer link add v2 index 12 type veth peer name eth0 netns @second");
    Result<Found> found = finder.find();
    for (int looks = 0; found && looks < 10; ++looks) // nothing in the host tells of it
        found = finder.find();
    ASSERT_TRUE(found && found->targets.size() == 2);
    for (const Target &target : found->targets)
        EXPECT_EQ(devices_in(target, inode("outer")).size(), 1) << target.name;
}

} // namespace
} // namespace vethtrace::test
