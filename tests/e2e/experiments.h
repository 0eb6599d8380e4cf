// Small experiments as text, and the tables that they leave.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "golden/program.h"

namespace attnlab::program_test {

inline const std::string kTinyModel = std::string(ATTNLAB_SOURCE_DIR) + "/configs/models/tiny.yaml";

/// Line 1 name, 2 model, 3 repeats, 4 arms, 5 workloads, 6 whatever else.
struct Experiment {
  std::string model = kTinyModel;
  std::string repeats = "1";
  std::string arms = "[{attention: gqa}]";
  std::string workloads = "[{speed: {batch: [q8]}}]";
  std::string more;
  bool in_turns = false;  // as experiments are by default: a trial of speed takes longer then

  [[nodiscard]] std::string yaml() const {
    return "name: study\nmodel: " + model + "\nrepeats: " + repeats + "\narms: " + arms + "\nworkloads: " + workloads +
           "\n" + more + (in_turns ? "\n" : "\ninterleave: false\n");
  }
};

/// A CSV file: a header, and rows by column name.
class CsvTable {
 public:
  explicit CsvTable(const std::string& text) {
    std::vector<std::vector<std::string>> lines{{""}};
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
        lines.back().back() += text[++i];
      } else if (c == '"') {
        quoted = !quoted;
      } else if (c == ',' && !quoted) {
        lines.back().emplace_back();
      } else if (c == '\n' && !quoted) {
        lines.push_back({""});
      } else {
        lines.back().back() += c;
      }
    }
    lines.pop_back();  // after the last line break
    header_ = lines.empty() ? std::vector<std::string>() : lines.front();
    for (std::size_t line = 1; line < lines.size(); ++line) {
      EXPECT_EQ(lines[line].size(), header_.size()) << "line " << line + 1 << " of the table";
      lines[line].resize(header_.size());
      rows_.push_back(lines[line]);
    }
  }

  [[nodiscard]] std::size_t rows() const { return rows_.size(); }
  [[nodiscard]] const std::string& at(std::size_t row, const std::string& column) const {
    static const std::string nothing;
    const auto found = std::find(header_.begin(), header_.end(), column);
    if (found == header_.end()) {
      ADD_FAILURE() << "there is no column " << column;
      return nothing;
    }
    return rows_[row][static_cast<std::size_t>(found - header_.begin())];
  }
  /// Rows whose columns have these values.
  [[nodiscard]] std::vector<std::size_t> where(const std::map<std::string, std::string>& values) const {
    std::vector<std::size_t> found;
    for (std::size_t row = 0; row < rows_.size(); ++row)
      if (std::all_of(values.begin(), values.end(), [&](const auto& one) { return at(row, one.first) == one.second; }))
        found.push_back(row);
    return found;
  }
  /// Values of a column in the order in which they first appear.
  [[nodiscard]] std::vector<std::string> distinct(const std::string& column) const {
    std::vector<std::string> values;
    for (std::size_t row = 0; row < rows_.size(); ++row)
      if (std::find(values.begin(), values.end(), at(row, column)) == values.end()) values.push_back(at(row, column));
    return values;
  }

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

inline CsvTable summary_of(const fs::path& results) {
  return CsvTable(read_file(results / "summary.csv"));
}

/// Rows of its summary that no repetition changes, as they are written.
inline std::vector<std::string> quality_rows(const fs::path& results) {
  std::vector<std::string> rows;
  for (const std::string& line : lines_of(read_file(results / "summary.csv")))
    for (const char* metric : {",nll_per_token,", ",perplexity,,", ",kl_to_baseline,", ",same_top_token,",
                               ",kv_bytes_mean,", ",kv_bytes_peak,", ",rows_evicted,", ",validation_loss,"})
      if (line.find(metric) != std::string::npos) rows.push_back(line);
  return rows;
}

}  // namespace attnlab::program_test
