// The state of a training that it is resumed from: one file with everything that the next step depends on, written
// beside the last one and renamed over it, so that a full disk or a kill at any instant leaves a whole state. A state
// says what it belongs to, and is refused by any other training.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <attnlab/api.h>

namespace attnlab::model {
class SafetensorsFile;
}

namespace attnlab::training {

/// What a state belongs to, as names and digests of its parts: {"the file": ..., "the model": ..., "the data": ...}.
using Belonging = std::map<std::string, std::string>;

struct StateFacts {
  Belonging belongs_to;
  std::int64_t step = 0;         // the last that was made
  std::uintmax_t csv_bytes = 0;  // of training.csv, up to the row of that step
  nlohmann::json loop;           // what the loop itself counts, in finite numbers: tokens, seconds, losses
};

/// Collects what is kept. Everything is borrowed until the state is written.
class ATTNLAB_API StateWriter {
 public:
  /// Names are unique.
  void add(std::string name, std::span<const float> values);
  /// Error, naming the path, where it cannot be written; the state that was there stays.
  void write(const std::filesystem::path& path, const StateFacts& facts) const;

 private:
  struct Kept {
    std::string name;
    std::span<const float> values;
  };
  std::vector<Kept> kept_;
};

class ATTNLAB_API StateReader {
 public:
  /// Error where the file is no whole state, where its bytes are not those that were written, or where it belongs to
  /// something else, saying what differs.
  static StateReader open(const std::filesystem::path& path, const Belonging& expected);
  StateReader(StateReader&&) noexcept;
  StateReader& operator=(StateReader&&) noexcept;
  ~StateReader();

  [[nodiscard]] const StateFacts& facts() const noexcept { return facts_; }
  /// Fills `to` with what was added under this name. Error where it is not there or of another size.
  void read(const std::string& name, std::span<float> to) const;

 private:
  explicit StateReader(model::SafetensorsFile file);

  std::unique_ptr<model::SafetensorsFile> file_;
  StateFacts facts_;
  std::map<std::string, std::string> digests_;  // by name of the values
};

}  // namespace attnlab::training
