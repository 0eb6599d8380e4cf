// The folder that a run works in: made or found, locked, cleared of what a killed run left half-written.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "runner/run_lock.h"

namespace attnlab::experiment {

class RunFolder {
 public:
  /// `named`: by the user; empty: results/<study>/<time>, or the newest of these where the run goes on. Error where it
  /// cannot be used: not empty and not to be resumed, no results folder, not writable, or another run is at work in it.
  /// `others_write`: jobs may be at work in it; then nothing is cleared.
  RunFolder(const std::filesystem::path& named, const std::string& study, bool resumes, bool others_write = false);

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::filesystem::path trials() const { return path_ / "trials"; }
  /// Trials that were measured and do not count: of a round that was measured twice, those of the noisier attempt, as
  /// <id>.attempt-1.json or <id>.attempt-2.json. There once something is in it; no reader of results looks here.
  [[nodiscard]] std::filesystem::path superseded() const { return path_ / "superseded"; }
  /// Removes what a process that was killed left half-written; no process may be writing.
  void clear() const;
  /// environment.json of the run before, as far as it can be read.
  [[nodiscard]] std::optional<nlohmann::json> earlier_environment() const;

 private:
  std::filesystem::path path_;
  std::unique_ptr<RunLock> lock_;
};

}  // namespace attnlab::experiment
