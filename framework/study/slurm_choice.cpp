#include "study/slurm_choice.h"

#include <regex>

#include <fmt/format.h>

#include "config/map_reader.h"
#include "config/scalars.h"

namespace attnlab::experiment {
namespace {

using config::Key;
using config::KeyTable;
using config::KeyType;

// As sbatch takes it: minutes, m:s, h:m:s, d-h, d-h:m, d-h:m:s.
constexpr const char* kTime = "([0-9]+-)?[0-9]+(:[0-9]+){0,2}";

// They become an argument of sbatch each, but not one of two lines.
std::string read_word(config::MapReader& reader, const char* key, config::ProblemList& problems) {
  std::string word = reader.text(key).value_or("");
  for (const char c : word)
    if (static_cast<unsigned char>(c) < 0x20) {
      problems.add(reader.find(key)->mark(), fmt::format("{}: {} has a line break", key, config::in_quotes(word)));
      return {};
    }
  return word;
}

}  // namespace

const KeyTable& launcher_keys() {
  static const KeyTable keys = {Key{.name = "slurm",
                                    .type = KeyType::form,
                                    .doc = "Trials, trainings and rounds become jobs of a Slurm cluster.",
                                    .required = true,
                                    .form = "slurm"}};
  return keys;
}

const KeyTable& slurm_keys() {
  static const KeyTable keys = {
      {.name = "partition", .doc = "Partition of the jobs; default: the cluster's."},
      {.name = "account", .doc = "Account that pays; default: the user's."},
      {.name = "constraint", .doc = "Features that nodes must have, as sbatch --constraint takes them: one CPU kind."},
      {.name = "time",
       .type = KeyType::form,
       .doc = "What one job may take, as sbatch --time takes it: minutes, or 4:00:00, or 2-12.",
       .form = "slurm_time",
       .written = "minutes, h:m:s or d-h"},
      {.name = "memory", .type = KeyType::bytes, .doc = "Of one job; default: the partition's, for rounds all."},
      {.name = "cpus",
       .type = KeyType::integer,
       .doc = "Processors of one job; default: the study's threads. Without `threads` they are its threads.",
       .min = 1,
       .max = 4096},
      {.name = "array",
       .type = KeyType::integer,
       .doc = "Elements of one job array that may run at once; default: as many as the cluster lets.",
       .min = 1,
       .max = 1e6},
      {.name = "file_delay",
       .type = KeyType::real,
       .doc = "Seconds until the nodes see each other's files, at the most; default 75, as on NFS.",
       .min = 0,
       .max = 3600},
      {.name = "setup", .doc = "Shell lines that every job begins with, as \"module load gcc\"."}};
  return keys;
}

SlurmChoice read_slurm(const config::Node& node, config::ProblemList& problems) {
  SlurmChoice choice;
  config::MapReader reader(node, "slurm", slurm_keys(), problems);
  choice.partition = read_word(reader, "partition", problems);
  choice.account = read_word(reader, "account", problems);
  choice.constraint = read_word(reader, "constraint", problems);
  if (const config::Node* time = reader.find("time")) choice.time = time->is_scalar() ? time->text() : "?";
  if (static const std::regex time(kTime); !choice.time.empty() && !std::regex_match(choice.time, time))
    problems.add(reader.find("time")->mark(),
                 fmt::format("time: {} is no time of Slurm's", config::in_quotes(choice.time)),
                 "write minutes, hours:minutes:seconds, or days-hours");
  choice.memory = reader.bytes("memory").value_or(0);
  choice.cpus = reader.count("cpus").value_or(0);
  choice.array = reader.count("array").value_or(0);
  choice.file_delay = reader.real("file_delay").value_or(choice.file_delay);
  choice.setup = reader.text("setup").value_or("");
  reader.finish();
  return choice;
}

}  // namespace attnlab::experiment
