// Collects mistakes, so that a file with five mistakes is reported with five lines. Readers add problems and continue;
// the list is thrown at the end, in the order of the file. Not the SDK's `Problems`, which knows options but no places.
#pragma once

#include <string>
#include <vector>

#include <attnlab/api.h>
#include <attnlab/error.h>

#include "config/node.h"

namespace attnlab::config {

class ATTNLAB_API ProblemList {
 public:
  void add(const Mark& mark, std::string what, std::string remedy = {});
  /// Problems at this place that were found outside the reader; their texts are kept.
  void add(const Mark& mark, const Error& error);
  void add(const ProblemList& others);

  /// Those of other places.
  [[nodiscard]] ProblemList without(const Mark& mark) const;
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  /// Sorted by line and column, files in the order of their first problem, the same line only once.
  [[nodiscard]] std::vector<Problem> sorted() const;
  /// Error with all of them, if there are any.
  void throw_if_any() const;

 private:
  struct Entry {
    Mark mark;
    Problem problem;
  };
  std::vector<Entry> entries_;
};

/// `did you mean "window"?`, else `known keys: a, b, c` (`what` is "keys"), else empty. For names that are not known.
[[nodiscard]] ATTNLAB_API std::string name_remedy(const std::string& name, const std::vector<std::string>& known,
                                                  const std::string& what);
/// The same for a key of a map, where the blank after the colon may be missing.
[[nodiscard]] ATTNLAB_API std::string key_remedy(const std::string& key, const std::vector<std::string>& known,
                                                 const std::string& what);

/// A text from a file, in quotes and cut to a length that fits in a message.
[[nodiscard]] ATTNLAB_API std::string in_quotes(std::string_view text);

}  // namespace attnlab::config
