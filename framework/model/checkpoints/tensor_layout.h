// Where the tensors that a decoder asks for stand in a checkpoint that has other names for them, holds several in one,
// or has rows and columns the other way round. Made of a model's configuration; applied to an open checkpoint.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <attnlab/api.h>

#include "model/checkpoints/safetensors.h"

namespace attnlab::model {

class ATTNLAB_API TensorLayout {
 public:
  struct Entry {
    std::string name;                             // that is asked for
    std::string stored;                           // in the file
    std::vector<std::int64_t> stored_shape = {};  // as it must be; empty: any, and the whole tensor is meant
    std::vector<std::int64_t> shape = {};         // of what is asked for
    ElementView view = {};
  };

  /// The whole tensor under another name.
  void rename(std::string name, std::string stored) { entries_.push_back({std::move(name), std::move(stored)}); }
  /// The whole tensor, of which each number is larger by 1 than it is stored; the name may be the same.
  void plus_one(std::string name, std::string stored);
  /// Rows first .. first + shape[0] of a tensor with stored_rows rows.
  void rows(std::string name, std::string stored, std::vector<std::int64_t> shape, std::int64_t first,
            std::int64_t stored_rows);
  /// Rows that stand in `heads` groups of group_rows rows each: of each group those from `first` on, shape[0] / heads.
  void rows_of_heads(std::string name, std::string stored, std::vector<std::int64_t> shape, std::int64_t heads,
                     std::int64_t first, std::int64_t group_rows);
  /// [out, in] of a tensor that is stored as [in, stored_out]: its columns first, first + step, ...
  void columns(std::string name, std::string stored, std::vector<std::int64_t> shape, std::int64_t first,
               std::int64_t stored_out, std::int64_t step = 1);
  /// The same of matrix `index` of a tensor [count, in, stored_out].
  void columns_of(std::int64_t index, std::int64_t count, std::string name, std::string stored,
                  std::vector<std::int64_t> shape, std::int64_t first, std::int64_t stored_out, std::int64_t step = 1);
  /// Numbers first, first + step, ... of row `index` of a tensor [count, stored_width].
  void numbers_of(std::int64_t index, std::int64_t count, std::string name, std::string stored, std::int64_t width,
                  std::int64_t first, std::int64_t stored_width, std::int64_t step = 1);

  /// Tensors that files hold and models do not use: those whose names end so.
  void ignore_ending(std::string ending) { ignored_endings_.push_back(std::move(ending)); }
  /// Those of layers from this one on.
  void ignore_layers_from(int layer) { ignored_from_ = layer; }
  /// Names of the file may begin so, or not.
  void optional_prefix(std::string prefix) { prefix_ = std::move(prefix); }

  [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return entries_; }
  [[nodiscard]] const std::string& prefix() const noexcept { return prefix_; }
  [[nodiscard]] bool is_ignored(std::string_view stored) const;

 private:
  std::vector<Entry> entries_;
  std::vector<std::string> ignored_endings_;
  int ignored_from_ = -1;
  std::string prefix_;
};

}  // namespace attnlab::model
