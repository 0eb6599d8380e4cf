// A Slurm cluster of two nodes on this machine: a real slurmctld, two slurmd, and munge, in a folder that goes away.
// Needs root, and Debian's slurm-wlm and munge.
#pragma once

#include <signal.h>

#include <chrono>
#include <functional>
#include <thread>

#include "golden/program.h"

namespace attnlab::program_test {

class SlurmCluster {
 public:
  static constexpr const char* kNodes[] = {"n1", "n2"};

  SlurmCluster() {
    for (const char* part : {"ctl", "munge", "n1", "n2"}) folder_.write(fs::path(part) / "about", "");
    fs::permissions(folder_.path(), fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec,
                    fs::perm_options::add);
    folder_.write("munge.key", std::string(64, 'k') + std::to_string(getpid()));
    fs::permissions(folder_ / "munge.key", fs::perms::owner_read | fs::perms::owner_write);
    folder_.write("slurm.conf", configuration());
    ::setenv("SLURM_CONF", (folder_ / "slurm.conf").c_str(), 1);
    const std::string munge = folder_ / "munge";
    is_up_ = shell("munged --force --key-file=" + (folder_ / "munge.key").string() + " --socket=" + munge +
                   "/s --pid-file=" + munge + "/pid --log-file=" + munge + "/log --seed-file=" + munge + "/seed") &&
             shell("slurmctld -c");
    for (const char* node : kNodes) start_node(node);
    is_up_ = is_up_ &&
             within(30, [] { return lines_of(output("sinfo --noheader --states=idle --format=%n -N")).size() == 2; });
  }
  ~SlurmCluster() {
    static_cast<void>(shell("scancel --quiet --user=root"));
    for (const char* node : kNodes) stop_node(node, SIGTERM);
    end(folder_ / "ctl/pid", SIGTERM);
    within(10, [&] { return !fs::exists(folder_ / "ctl/pid"); });
    end(folder_ / "munge/pid", SIGTERM);
  }
  SlurmCluster(const SlurmCluster&) = delete;
  SlurmCluster& operator=(const SlurmCluster&) = delete;

  /// Why there can be none here; empty: there can.
  static std::string why_not() {
    if (geteuid() != 0) return "not root, and slurmd must be";
    for (const char* program : {"slurmctld", "slurmd", "sbatch", "munged"})
      if (!shell(std::string("command -v ") + program))
        return std::string(program) + " is not there: apt-get install slurm-wlm munge";
    return {};
  }

  [[nodiscard]] bool is_up() const { return is_up_; }
  [[nodiscard]] std::string log() const { return read_file(folder_ / "ctl/log"); }

  void start_node(const std::string& node) { is_up_ = shell("slurmd -N " + node) && is_up_; }
  void stop_node(const std::string& node, int signal) { end(folder_ / node / "pid", signal); }

  /// Once the condition holds; false where it does not within so many seconds.
  static bool within(int seconds, const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return true;
  }

  static bool shell(const std::string& command) { return std::system((command + " > /dev/null 2>&1").c_str()) == 0; }
  static std::string output(const std::string& command) {
    std::FILE* const pipe = popen((command + " 2> /dev/null").c_str(), "r");
    std::string text;
    char piece[4096];
    while (const std::size_t got = std::fread(piece, 1, sizeof piece, pipe)) text.append(piece, got);
    pclose(pipe);
    return text;
  }

 private:
  static void end(const fs::path& pid_file, int signal) {
    std::ifstream file(pid_file);
    pid_t pid = 0;
    if (file >> pid && pid > 0) ::kill(pid, signal);
  }

  // Ports by the process, since tests run side by side, below those that the system gives to whoever connects.
  [[nodiscard]] std::string configuration() const {
    const int port = 20'000 + getpid() % 4'000 * 3;
    const std::string d = folder_.path(), host = lines_of(output("hostname -s")).front();
    return "ClusterName=test\nSlurmctldHost=" + host + "(127.0.0.1)\nSlurmctldPort=" + std::to_string(port) +
           "\nAuthType=auth/munge\nAuthInfo=socket=" + d + "/munge/s,cred_expire=5\nCredType=cred/munge\nSlurmUser=root\n" +
           "SlurmdUser=root\nStateSaveLocation=" + d + "/ctl\nSlurmctldPidFile=" + d +
           "/ctl/pid\nSlurmctldLogFile=" + d + "/ctl/log\nSlurmdPidFile=" + d + "/%n/pid\nSlurmdLogFile=" + d +
           "/%n/log\nSlurmdSpoolDir=" + d +
           "/%n/spool\nProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/none\n"
           "SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\nSlurmdTimeout=10\nReturnToService=2\n"
           "MailProg=/bin/true\nSwitchType=switch/none\nMpiDefault=none\nKillWait=2\nMaxArraySize=1001\n"
           "SchedulerParameters=sched_interval=1,sched_min_interval=100000,bf_interval=1\nNodeName=n[1-2] "
           "NodeAddr=127.0.0.1 NodeHostname=" +
           host + " Port=[" + std::to_string(port + 1) + "-" + std::to_string(port + 2) +
           "] CPUs=2 RealMemory=2000 State=UNKNOWN\nPartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE "
           "State=UP\n";
  }

  Sandbox folder_;
  bool is_up_ = false;
};

}  // namespace attnlab::program_test
