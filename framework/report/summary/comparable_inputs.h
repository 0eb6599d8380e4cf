// Whether figures of two runs may be compared at all: by the hashes of their models and data.
// Speeds and bytes depend on the shape of the model, quality on its weights, tokenizer and configuration too, and every
// figure of a case on what the case was measured on.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "report/read/study_layout.h"

namespace attnlab::report {

class ComparableInputs {
 public:
  ComparableInputs(const StudyLayout& a, const StudyLayout& b);

  /// Why the metric cannot be compared in this case: "other weights". Empty: it can.
  [[nodiscard]] std::string why_not(const CaseLayout& entry, const std::string& metric) const;

  /// What is not the same, one sentence each, worst first; empty where all is.
  [[nodiscard]] const std::vector<std::string>& differences() const { return differences_; }

 private:
  void compare_models(const ModelIdentity& a, const ModelIdentity& b);
  void compare_data(const CaseLayout& a, const CaseLayout& b);
  void compare_references(const StudyLayout& a, const StudyLayout& b);

  std::string of_all_, of_quality_, of_reference_;
  std::map<std::pair<std::string, std::string>, std::string> of_case_;
  std::vector<std::string> differences_;
};

}  // namespace attnlab::report
