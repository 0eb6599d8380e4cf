#include <attnlab/error.h>

#include <algorithm>
#include <numeric>

namespace attnlab {

namespace {

// Messages are contracts of one line each; a name from a file may hold a line break.
std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return text;
}

int edit_distance(const std::string& a, const std::string& b) {
  std::vector<int> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const int substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string Problem::text() const {
  std::string text = where.empty() ? what : where + ": " + what;
  if (!remedy.empty()) text += "; " + remedy;
  return one_line(std::move(text));
}

Error::Error(Problem problem) : Error(std::vector<Problem>{std::move(problem)}) {}

Error::Error(std::string where, std::string what, std::string remedy)
    : Error(Problem{std::move(where), std::move(what), std::move(remedy)}) {}

Error::Error(std::vector<Problem> problems) : problems_(std::move(problems)) {
  ATTNLAB_CHECK(!problems_.empty(), "an error without a problem");
  for (const Problem& problem : problems_) {
    if (!text_.empty()) text_ += '\n';
    text_ += problem.text();
  }
}

Error::~Error() = default;

std::string nearest_name(const std::string& name, const std::vector<std::string>& candidates) {
  // A third of the letters may differ, at least two: "windw" means window, "x" means nothing.
  const int limit = std::max(2, static_cast<int>(name.size()) / 3);
  int best = limit + 1;
  std::string nearest;
  for (const std::string& candidate : candidates) {
    const bool shares_start = !name.empty() && candidate.starts_with(name);
    const int distance = shares_start && name.size() >= 3 ? 1 : edit_distance(name, candidate);
    if (distance < best && distance < static_cast<int>(candidate.size())) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace attnlab
