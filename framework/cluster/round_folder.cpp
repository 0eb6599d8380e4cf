#include "cluster/round_folder.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <attnlab/error.h>

#include "report/read/text_file.h"
#include "report/read/trial_result.h"

namespace attnlab::cluster {
namespace fs = std::filesystem;
namespace {

fs::path round_of(const fs::path& submission, int round) {
  return submission / "rounds" / std::to_string(round);
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure))
    if (entry->path().extension() == ".json" && !entry->path().filename().string().starts_with('.'))
      files.push_back(entry->path());
  if (failure && failure != std::errc::no_such_file_or_directory)
    throw Error(folder.string(), "cannot be read: " + failure.message());
  return files;
}

void move_files(const fs::path& from, const fs::path& to) {
  for (const fs::path& file : files_in(from)) {
    std::error_code failure;
    fs::create_directories(to, failure);
    fs::rename(file, to / file.filename(), failure);
    if (failure && failure != std::errc::no_such_file_or_directory)
      throw Error(file.string(), "cannot be moved to " + to.string() + ": " + failure.message());
  }
}

}  // namespace

void write_round_file(const fs::path& folder, const RoundFile& file) {
  report::write_atomically(
      folder / "round.json",
      report::json_text(
          {{"node", file.node}, {"records", file.records}, {"warmup", file.warmup}, {"roof", file.roof}}));
}

std::optional<RoundFile> read_round_file(const fs::path& folder) {
  std::error_code none;
  if (!fs::exists(folder / "round.json", none)) return std::nullopt;
  try {
    const nlohmann::json stored = report::read_json(folder / "round.json");
    return RoundFile{stored.at("node"), stored.at("records"), stored.at("warmup"), stored.at("roof")};
  } catch (const Error&) {
  } catch (const nlohmann::json::exception&) {
  }
  return std::nullopt;
}

fs::path begin_round(const fs::path& submission, int round, const std::string& job) {
  fs::path own = round_of(submission, round);
  own += "." + job;
  std::error_code failure;
  fs::remove_all(own, failure);
  fs::create_directories(own / "trials", failure);
  if (failure) throw Error(own.string(), "the folder cannot be made: " + failure.message());
  return own;
}

bool end_round(const fs::path& submission, int round, const fs::path& own) {
  // Atomic, and refused where a folder that is not empty has the name: round.json is never moved out of one.
  if (std::rename(own.c_str(), round_of(submission, round).c_str()) == 0) return true;
  const int fault = errno;
  if (fault != ENOTEMPTY && fault != EEXIST)
    throw Error(own.string(), std::string("cannot be renamed: ") + std::strerror(fault));
  std::error_code ignored;
  fs::remove_all(own, ignored);
  return false;
}

bool is_round_there(const fs::path& submission, int round) {
  std::error_code none;
  return fs::exists(round_of(submission, round) / "round.json", none);
}

void publish_round(const fs::path& submission, int round, const fs::path& results) {
  move_files(round_of(submission, round) / "trials", results / "trials");
  move_files(round_of(submission, round) / "superseded", results / "superseded");
}

void remove_unfinished_rounds(const fs::path& submission) {
  std::error_code none;
  std::vector<fs::path> found;
  for (fs::directory_iterator entry(submission / "rounds", none), end; !none && entry != end; entry.increment(none))
    if (entry->path().has_extension()) found.push_back(entry->path());
  for (const fs::path& folder : found) fs::remove_all(folder, none);
}

void rescue_round(const fs::path& submission, int round, const fs::path& results) {
  const std::string start = std::to_string(round) + ".";
  std::pair<std::size_t, fs::path> best;
  std::error_code none;
  for (fs::directory_iterator entry(submission / "rounds", none), end; !none && entry != end; entry.increment(none))
    if (entry->path().filename().string().starts_with(start))
      best = std::max(best, {files_in(entry->path() / "trials").size(), entry->path()});
  if (best.first == 0) return;
  if (!fs::exists(best.second / "round.json", none)) write_round_file(best.second, {});
  static_cast<void>(end_round(submission, round, best.second));
  publish_round(submission, round, results);
}

}  // namespace attnlab::cluster
