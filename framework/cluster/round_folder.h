// What a round leaves, so that it appears at once and as a whole: a job works in a folder of its own, which becomes
// the round's by being renamed. Of two jobs with the same round (one on a node that Slurm gave up and that went on) the
// first wins, and the trials of a round are always of one node. Then its trials move to where all trials are.
//   jobs/<n>/rounds/<r>.<job>/    while the job works
//   jobs/<n>/rounds/<r>/          the whole round: round.json, and trials/ and superseded/ until they are moved
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "machine/roof.h"
#include "runner/disturbance.h"
#include "runner/warmup.h"

namespace attnlab::cluster {

/// round.json.
struct RoundFile {
  std::string node;
  std::vector<experiment::RoundRecord> records;
  experiment::WarmupRecord warmup;
  experiment::Roof roof;
};

ATTNLAB_API void write_round_file(const std::filesystem::path& folder, const RoundFile& file);
/// None where there is none, or it is damaged.
[[nodiscard]] ATTNLAB_API std::optional<RoundFile> read_round_file(const std::filesystem::path& folder);

/// A job's own folder, made anew. `job`: one of every start of a job.
[[nodiscard]] ATTNLAB_API std::filesystem::path begin_round(const std::filesystem::path& submission, int round,
                                                            const std::string& job);

/// The job's folder becomes the round's. False where another job was first: then the job's is removed.
ATTNLAB_API bool end_round(const std::filesystem::path& submission, int round, const std::filesystem::path& own);

[[nodiscard]] ATTNLAB_API bool is_round_there(const std::filesystem::path& submission, int round);

/// Moves what a round that is there has left to move; any number of processes may do it at once. Error where a file
/// cannot be moved.
ATTNLAB_API void publish_round(const std::filesystem::path& submission, int round,
                               const std::filesystem::path& results);

/// Of a job that has died: what it had measured becomes the round, as far as it came. Where several had begun, the one
/// that came furthest.
ATTNLAB_API void rescue_round(const std::filesystem::path& submission, int round, const std::filesystem::path& results);

/// Folders of jobs that have died; none may be at work.
ATTNLAB_API void remove_unfinished_rounds(const std::filesystem::path& submission);

}  // namespace attnlab::cluster
