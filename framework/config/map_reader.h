// Reads a map whose keys are known: each is taken once, and what nobody took is reported with the nearest name. So the
// list of known keys is the code that reads them, never a second list beside it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>

#include "config/node.h"
#include "config/problem_list.h"

namespace attnlab::config {

class ATTNLAB_API MapReader {
 public:
  /// `section` is what messages call the map ("the experiment", "perplexity"). Null reads as an empty map; anything
  /// else that is no map is a problem, and then nothing is there and nothing is missing. All three must outlive this.
  MapReader(const Node& node, std::string section, ProblemList& problems);

  /// Null pointer where the key is not there.
  const Node* take(std::string_view key);
  /// A key that is not there is a problem at the map's place, unless an unknown key is taken for a misspelling of it.
  const Node* require(std::string_view key);
  /// Whether an unknown key looks like this one, which is known already.
  [[nodiscard]] bool misspells(std::string_view key) const;
  /// Unknown keys become problems. Once, after every key that is allowed here was taken.
  void finish();

  [[nodiscard]] const std::string& section() const noexcept { return section_; }

 private:
  const Node& node_;
  std::string section_;
  ProblemList& problems_;
  std::vector<std::string> known_;
  std::vector<std::string> missing_;
};

}  // namespace attnlab::config
