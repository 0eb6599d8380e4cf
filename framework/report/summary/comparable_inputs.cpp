#include "report/summary/comparable_inputs.h"

#include <algorithm>

#include <fmt/format.h>

#include "report/read/format.h"
#include "report/read/metrics.h"
#include "report/summary/input_words.h"

namespace attnlab::report {
namespace {

// What is only the name of a file.
bool is_of_the_machine(const std::string& key) {
  return key == "text";
}

std::string words_of(const std::string& key, const std::string& value) {
  return key.ends_with("sha256") ? short_hash(value) : value;
}

}  // namespace

ComparableInputs::ComparableInputs(const StudyLayout& a, const StudyLayout& b) {
  compare_models(a.model, b.model);
  for (const CaseLayout& mine : a.cases)
    if (const auto theirs = std::ranges::find(b.cases, mine); theirs != b.cases.end()) compare_data(mine, *theirs);
  compare_references(a, b);
}

void ComparableInputs::compare_models(const ModelIdentity& a, const ModelIdentity& b) {
  if (!a.is_known() || !b.is_known()) {
    of_quality_ = "the model is not known";
    const char* which = a.is_known() ? "B does not say" : b.is_known() ? "A does not say" : "neither folder says";
    differences_.push_back(
        fmt::format("{} which model it is of: quality is not compared, speeds and bytes are on trust", which));
    return;
  }
  const bool is_same_shape = a.has_shape_of(b);
  if (!is_same_shape) {
    of_all_ = "other architecture";
  } else if (a.weights_sha256 != b.weights_sha256) {
    of_quality_ = "other weights";
  } else if (a.config_sha256 != b.config_sha256) {
    of_quality_ = "other configuration";
  } else if (a.tokenizer_sha256 != b.tokenizer_sha256) {
    of_quality_ = "other tokenizer";
  } else {
    return;
  }
  differences_.push_back("the model of A: " + model_words(a));
  differences_.push_back("the model of B: " + model_words(b));
  differences_.push_back(is_same_shape ? of_quality_ +
                                             " of the same architecture: speeds and bytes are compared, "
                                             "quality is not"
                                       : of_all_ + ": nothing of the two models is compared");
}

void ComparableInputs::compare_data(const CaseLayout& a, const CaseLayout& b) {
  if (a.data.empty() && b.data.empty()) return;
  std::vector<std::string> mine, theirs;
  for (const auto& [key, value] : a.data) {
    const auto other = b.data.find(key);
    if (is_of_the_machine(key) || (other != b.data.end() && other->second == value)) continue;
    mine.push_back(fmt::format("{} {}", key, words_of(key, value)));
    theirs.push_back(other == b.data.end() ? "not known" : fmt::format("{} {}", key, words_of(key, other->second)));
  }
  for (const auto& [key, value] : b.data)
    if (!a.data.contains(key) && !is_of_the_machine(key)) {
      mine.push_back("not known");
      theirs.push_back(fmt::format("{} {}", key, words_of(key, value)));
    }
  if (mine.empty()) return;
  const bool is_text = a.data.contains("text_sha256") || b.data.contains("text_sha256");
  const auto value_at = [](const CaseLayout& entry, const char* key) {
    const auto found = entry.data.find(key);
    return found == entry.data.end() ? std::string() : found->second;
  };
  std::string why = "other data";
  if (is_text)
    why = value_at(a, "text_sha256") != value_at(b, "text_sha256") ? "other text" : "other windows of the text";
  if (a.data.empty() || b.data.empty()) why = "what it was measured on is not known";
  of_case_[{a.workload, a.case_name}] = why;
  differences_.push_back(fmt::format("{}: {}, and is not compared: {} in A, {} in B", case_title(a), why,
                                     fmt::join(mine, ", "), fmt::join(theirs, ", ")));
}

// A reference of the same name is another arm where its options differ.
void ComparableInputs::compare_references(const StudyLayout& a, const StudyLayout& b) {
  const std::string& name = a.measured_against;
  std::string other = fmt::format("{} in B", b.measured_against);
  if (name == b.measured_against) {
    const auto mine = std::ranges::find(a.arms, name, &ArmLayout::name);
    const auto theirs = std::ranges::find(b.arms, name, &ArmLayout::name);
    if (mine == a.arms.end() || theirs == b.arms.end() || mine->resolved == theirs->resolved) return;
    other = "an arm of this name with other options in B";
  }
  of_reference_ = "against another arm";
  differences_.push_back(
      fmt::format("KL and what goes with it is against {} in A, {}: it is not compared", name, other));
}

std::string ComparableInputs::why_not(const CaseLayout& entry, const std::string& metric) const {
  if (!of_all_.empty()) return of_all_;
  if (const auto found = of_case_.find({entry.workload, entry.case_name}); found != of_case_.end())
    return found->second;
  if (is_quality(metric) && !of_quality_.empty()) return of_quality_;
  return is_measured_against_an_arm(metric) ? of_reference_ : std::string();
}

}  // namespace attnlab::report
