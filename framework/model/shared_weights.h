// Weights that several models hold alike, packed once: in a process that is forked afterwards, so that each fork has
// them in the same memory. What one of them would change, it has a copy of. Not here: which models hold what alike
// (runner/weights_together).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <attnlab/api.h>
#include <attnlab/module.h>

#include "base/pages.h"
#include "ops/matrix.h"

namespace attnlab::model {

/// The kv heads that a tensor's rows are to become; as in ParameterSpec.
struct HeadConversion {
  int heads = 0;  // 0: the rows are no heads
  HeadPooling pooling = HeadPooling::mean;
};

/// A tensor that a model holds as a packed matrix, or as a table of rows.
struct HeldWeight {
  std::string name;
  std::vector<std::int64_t> shape;
  HeadConversion conversion{};  // of a matrix
  bool is_table = false;
  std::size_t bytes = 0;  // in memory
  std::string content;    // equal in models that hold the same bytes, with the same seed where they are drawn
  bool is_drawn = false;

  /// Equal where the bytes are.
  [[nodiscard]] std::string key(std::uint64_t seed) const {
    return is_drawn ? content + " of " + std::to_string(seed) : content;
  }
};

class SharedWeights {
 public:
  /// Parts of the room, by their keys.
  void add(const std::string& key, Matrix matrix) { matrices_.emplace(key, std::move(matrix)); }
  void add(const std::string& key, Pages table) { tables_.emplace(key, std::move(table)); }
  [[nodiscard]] PagesRoom& room() noexcept { return room_; }
  [[nodiscard]] const PagesRoom& room() const noexcept { return room_; }

  /// Null where there is none.
  [[nodiscard]] const Matrix* matrix(const std::string& key) const { return find(matrices_, key); }
  [[nodiscard]] const Pages* table(const std::string& key) const { return find(tables_, key); }

 private:
  template <class Held>
  static const Held* find(const std::map<std::string, Held>& all, const std::string& key) {
    const auto found = all.find(key);
    return found == all.end() ? nullptr : &found->second;
  }

  PagesRoom room_;
  std::map<std::string, Matrix> matrices_;
  std::map<std::string, Pages> tables_;
};

/// What a model may take instead of packing it.
using SharedParts = std::vector<const SharedWeights*>;

}  // namespace attnlab::model
