// Reads a map whose keys are declared in a table: values are checked against its types and bounds, and what the table
// does not have is reported with the nearest name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>

#include "config/keys.h"
#include "config/node.h"
#include "config/problem_list.h"

namespace attnlab::config {

class ATTNLAB_API MapReader {
 public:
  /// `section` is what messages call the map ("the experiment", "perplexity"). Null reads as an empty map; anything
  /// else that is no map is a problem, and then nothing is there and nothing is missing. The node, the table and the
  /// list must outlive this.
  MapReader(const Node& node, std::string section, const KeyTable& keys, ProblemList& problems);

  /// Null pointer where the key is not there. Keys are those of the table.
  [[nodiscard]] const Node* find(std::string_view key) const;
  /// A key that is not there although the table does not ask for it: a problem, as if it did.
  const Node* require(std::string_view key);

  // None where the key is not there or a problem was added.
  std::optional<std::int64_t> integer(std::string_view key);
  std::optional<int> count(std::string_view key);  // an integer that fits
  std::optional<std::vector<std::int64_t>> integers(std::string_view key);
  std::optional<double> real(std::string_view key);
  std::optional<bool> boolean(std::string_view key);
  std::optional<std::string> text(std::string_view key);
  std::optional<std::vector<std::string>> texts(std::string_view key);
  std::optional<std::string> choice(std::string_view key);
  std::optional<std::uint64_t> bytes(std::string_view key);
  std::optional<double> share(std::string_view key);

  /// Whether an unknown key looks like this one.
  [[nodiscard]] bool misspells(std::string_view key) const;
  /// Unknown keys become problems (but x-... are free: places for YAML anchors), and so do required ones that are not
  /// there (unless an unknown one is taken for a misspelling). Once, at the end.
  void finish();

  [[nodiscard]] const std::string& section() const noexcept { return section_; }

 private:
  [[nodiscard]] const Key& declared(std::string_view key, KeyType type) const;

  const Node& node_;
  std::string section_;
  const KeyTable& keys_;
  ProblemList& problems_;
  std::vector<std::string> names_;
  std::vector<std::string_view> required_;
};

}  // namespace attnlab::config
