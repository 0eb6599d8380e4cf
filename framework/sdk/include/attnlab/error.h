// The only exception type that leaves a library function: a mistake of a user, in a file or in a plugin.
// `main` prints every problem on a line of its own and exits with 2. Not for programming errors (see api.h).
#pragma once

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <attnlab/api.h>

namespace attnlab {

/// One thing that is wrong: where ("file:line:column", or a file and a tensor name; may be empty), what, and
/// what would be right (may be empty).
struct Problem {
  std::string where;
  std::string what;
  std::string remedy;

  /// "where: what; remedy", leaving out what is empty. Always one line.
  [[nodiscard]] ATTNLAB_API std::string text() const;
};

class ATTNLAB_API Error : public std::exception {
 public:
  explicit Error(Problem problem);
  Error(std::string where, std::string what, std::string remedy = {});
  /// All problems that were found at once; must not be empty.
  explicit Error(std::vector<Problem> problems);
  ~Error() override;

  [[nodiscard]] const std::vector<Problem>& problems() const noexcept { return problems_; }
  /// The problems' texts, one a line.
  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::vector<Problem> problems_;
  std::string text_;
};

/// The candidate nearest to `name` by edit distance, or an empty string where none is near enough to be a likely
/// misspelling.
[[nodiscard]] ATTNLAB_API std::string nearest_name(const std::string& name, const std::vector<std::string>& candidates);

}  // namespace attnlab
