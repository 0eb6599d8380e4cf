#include "cluster/slurm.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <attnlab/error.h>

#include "base/program.h"

namespace attnlab::cluster {
namespace {

constexpr char kSeparator = '|';

std::vector<std::string_view> cut(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines = cut(text, '\n');
  std::erase_if(lines, [](std::string_view line) { return line.empty(); });
  return lines;
}

std::optional<int> number_in(std::string_view text) {
  int number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "5-9,12%200" behind the bracket of "123_[5-9,12%200]".
std::vector<int> tasks_in(std::string_view list) {
  std::vector<int> tasks;
  for (const std::string_view part : cut(list.substr(0, list.find('%')), ',')) {
    const std::size_t dash = part.find('-');
    const std::optional<int> first = number_in(part.substr(0, dash));
    const std::optional<int> last = dash == std::string_view::npos ? first : number_in(part.substr(dash + 1));
    if (first && last)
      for (int task = *first; task <= *last; ++task) tasks.push_back(task);
  }
  return tasks;
}

// "123_4", "123_[5-9%200]": array and elements. None: no element of an array.
std::pair<std::string, std::vector<int>> elements_in(std::string_view id) {
  const std::size_t bar = id.find('_');
  if (bar == std::string_view::npos) return {};
  std::string_view rest = id.substr(bar + 1);
  std::pair<std::string, std::vector<int>> found{std::string(id.substr(0, bar)), {}};
  if (rest.starts_with('[')) {
    rest.remove_prefix(1);
    found.second = tasks_in(rest.substr(0, rest.find(']')));
  } else if (const std::optional<int> task = number_in(rest)) {
    found.second = {*task};
  }
  return found;
}

// sacct says "CANCELLED by 1000".
std::string first_word(std::string_view text) {
  return std::string(text.substr(0, text.find(' ')));
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

[[noreturn]] void fail(const std::string& program, const ProgramRun& run) {
  if (!run.started || run.exit_code == 127)
    throw Error(program, "there is no such program here: Slurm is not installed on this machine",
                "run where jobs of the cluster can be submitted, or with --launcher local");
  throw Error(program,
              trimmed(run.err).empty() ? fmt::format("ended with exit code {}", run.exit_code) : trimmed(run.err));
}

}  // namespace

bool JobState::is_alive() const {
  static const std::set<std::string> alive = {
      "PENDING",     "RUNNING",   "COMPLETING",   "CONFIGURING", "SUSPENDED", "REQUEUED", "REQUEUE_HOLD",
      "REQUEUE_FED", "SIGNALING", "SPECIAL_EXIT", "STAGE_OUT",   "STOPPED",   "RESIZING", "RESV_DEL_HOLD"};
  return alive.contains(state);
}

std::string JobState::words() const {
  return fmt::format("{} in job {}_{}{}{}", state, array, task, node.empty() ? "" : " on " + node,
                     reason.empty() || reason == "None" ? "" : " (" + reason + ")");
}

std::vector<JobState> parse_states(const std::string& lines) {
  std::vector<JobState> states;
  for (const std::string_view line : lines_of(lines)) {
    const std::vector<std::string_view> fields = cut(line, kSeparator);
    if (fields.size() != 5) continue;
    const auto [array, tasks] = elements_in(fields[0]);
    for (const int task : tasks)
      states.push_back({.name = std::string(fields[4]),
                        .array = array,
                        .task = task,
                        .state = std::string(fields[1]),
                        .reason = std::string(fields[2]),
                        .node = std::string(fields[3])});
  }
  return states;
}

std::vector<JobState> parse_history(const std::string& lines) {
  std::vector<JobState> states;
  for (const std::string_view line : lines_of(lines)) {
    const std::vector<std::string_view> fields = cut(line, kSeparator);
    if (fields.size() != 4) continue;
    const auto [array, tasks] = elements_in(fields[0]);
    for (const int task : tasks)
      states.push_back({.name = {},
                        .array = array,
                        .task = task,
                        .state = first_word(fields[1]),
                        .reason = std::string(fields[2]),
                        .node = std::string(fields[3])});
  }
  return states;
}

std::string submit(std::vector<std::string> words) {
  words.insert(words.begin(), {"sbatch", "--parsable"});
  const ProgramRun run = run_program(words);
  if (!run.ended_well()) fail("sbatch", run);
  // "123", or "123;cluster".
  const std::string id = trimmed(run.out.substr(0, run.out.find(';')));
  if (!number_in(id)) throw Error("sbatch", fmt::format("it was to print a job id, and printed \"{}\"", id));
  return id;
}

std::optional<std::vector<JobState>> states_of(const std::vector<std::string>& names) {
  // One argument of a program has an end.
  constexpr std::size_t kNamesAtOnce = 1000;
  if (names.size() > kNamesAtOnce) {
    const auto middle = names.begin() + static_cast<std::ptrdiff_t>(names.size() / 2);
    std::optional<std::vector<JobState>> first = states_of({names.begin(), middle});
    const std::optional<std::vector<JobState>> second = states_of({middle, names.end()});
    if (!first || !second) return std::nullopt;
    first->insert(first->end(), second->begin(), second->end());
    return first;
  }
  if (names.empty()) return std::vector<JobState>();
  // Without the variable a long list of elements is cut short.
  const ProgramRun run = run_program({"env", "SLURM_BITSTR_LEN=0", "squeue", "--states=all", "--noheader",
                                      "--name=" + fmt::format("{}", fmt::join(names, ",")), "--format=%i|%T|%r|%N|%j"});
  if (!run.ended_well()) return std::nullopt;
  return parse_states(run.out);
}

std::vector<JobState> history_of(const std::vector<std::string>& arrays) {
  const ProgramRun run =
      run_program({"sacct", "--allocations", "--noheader", "--parsable2", "--array",
                   "--jobs=" + fmt::format("{}", fmt::join(arrays, ",")), "--format=JobID,State,Reason,NodeList"});
  return run.ended_well() ? parse_history(run.out) : std::vector<JobState>();
}

void cancel(const std::vector<std::string>& arrays) {
  if (arrays.empty()) return;
  std::vector<std::string> words{"scancel", "--quiet"};
  words.insert(words.end(), arrays.begin(), arrays.end());
  static_cast<void>(run_program(words));
}

int max_array_size() {
  const ProgramRun run = run_program({"scontrol", "show", "config"});
  if (!run.ended_well()) fail("scontrol", run);
  for (const std::string_view line : lines_of(run.out)) {
    if (!line.starts_with("MaxArraySize")) continue;
    const std::size_t last = line.find_last_of(" =");
    if (const std::optional<int> size = number_in(line.substr(last + 1)); size && *size > 1) return *size;
  }
  return 1001;  // Slurm's own default
}

}  // namespace attnlab::cluster
