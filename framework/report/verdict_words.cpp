#include "report/verdict_words.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "report/format.h"
#include "report/metrics.h"
#include "report/verdict_table.h"

namespace attnlab::report {
namespace {

constexpr std::size_t kMostSentences = 8;
constexpr std::size_t kMostArmsOneByOne = 5;
constexpr double kLeastShownChange = 0.00005;  // below, a change is written as none

// Two decimals, three where the ratio is close to 1, small or very sure, as many in the interval.
std::string ratio_words(const Estimate& ratio) {
  const bool is_sure =
      ratio.interval && ratio.interval->is_confident() && ratio.interval->high - ratio.interval->low < 0.02;
  const bool is_fine = std::abs(ratio.median - 1) < 0.1 || ratio.median < 0.1 || is_sure;
  const int decimals = is_fine ? 3 : ratio.median < 10 ? 2 : 1;
  std::string words = fmt::format("{:.{}f} ×", ratio.median, decimals);
  if (ratio.interval && ratio.interval->is_confident())
    words += fmt::format(" [{:.{}f}, {:.{}f}]", ratio.interval->low, decimals, ratio.interval->high, decimals);
  return words;
}

// "+0.4 % [+0.2, +0.6]"; a multiple from twice as much on.
std::string change_words(const Estimate& ratio) {
  if (ratio.median >= 2 || ratio.median <= 0.5) return ratio_words(ratio);
  const auto percent = [](double value) { return (value - 1) * 100; };
  const int decimals = std::abs(percent(ratio.median)) < 0.95 ? 2 : 1;
  std::string words = fmt::format("{:+.{}f} %", percent(ratio.median), decimals);
  if (ratio.interval && ratio.interval->is_confident())
    words += fmt::format(" [{:+.{}f}, {:+.{}f}]", percent(ratio.interval->low), decimals, percent(ratio.interval->high),
                         decimals);
  return words;
}

std::string count_words(std::size_t count, const char* one, const char* many) {
  return count == 1 ? fmt::format("1 {}", one) : fmt::format("{} {}", count, many);
}

bool is_better(const SummaryRow& row) {
  return row.is_marked && (row.better == "higher") == (row.ratio->median > 1);
}

bool is_worse(const SummaryRow& row) {
  return row.is_marked && !is_better(row);
}

class Verdict {
 public:
  explicit Verdict(const Results& results) : results_(results), baseline_(one_line(results.layout.baseline)) {
    for (const SummaryRow& row : results.summary.rows)
      if (row.is_ok() && row.no_verdict.empty()) rows_[{row.arm, row.workload, row.case_name, row.metric}] = &row;
    for (const ArmLayout& arm : results.layout.arms)
      if (arm.name != results.layout.baseline && has_rows(arm.name)) arms_.push_back(arm.name);
    decode_ = headline_case(kDecode);
    prefill_ = headline_case(kPrefill);
    perplexity_ = headline_case(kPerplexity);
    recall_ = headline_case(kRecallAccuracy);
  }

  std::vector<std::string> sentences() {
    if (rows_.empty()) return add_without_verdict(), add_failures(), std::move(sentences_);
    if (arms_.empty())
      add(alone(results_.layout.baseline));
    else if (arms_.size() <= kMostArmsOneByOne)
      for (const std::string& arm : arms_) add(compared(arm));
    else
      add_best();
    add_without_verdict();
    add_what_cannot_be_marked();
    add_failures();
    if (sentences_.size() > kMostSentences) sentences_.resize(kMostSentences);
    return std::move(sentences_);
  }

 private:
  using Key = std::tuple<std::string, std::string, std::string, std::string>;  // arm, workload, case, metric
  using Rows = std::vector<const SummaryRow*>;

  void add(const std::string& sentence) {
    if (sentence.empty()) return;
    sentences_.push_back(sentence + (sentence.ends_with('.') ? "" : "."));
  }

  [[nodiscard]] bool has_rows(const std::string& arm) const {
    const auto first = rows_.lower_bound({arm, "", "", ""});
    return first != rows_.end() && std::get<0>(first->first) == arm;
  }

  [[nodiscard]] const SummaryRow* row(const std::string& arm, const CaseLayout* entry, std::string_view metric) const {
    if (entry == nullptr) return nullptr;
    const auto found = rows_.find({arm, entry->workload, entry->case_name, std::string(metric)});
    return found == rows_.end() ? nullptr : found->second;
  }

  // Of the cases that compare an arm in the metric (or have it, where there is nothing to compare) the one with the
  // longest context, where what the arms differ in weighs most.
  [[nodiscard]] const CaseLayout* headline_case(std::string_view metric) const {
    const CaseLayout* best = nullptr;
    double longest = -1;
    for (const CaseLayout& entry : results_.layout.cases) {
      const auto context = entry.numbers.find("context");
      const double length = context == entry.numbers.end() ? 0 : context->second;
      const auto has = [&](const std::string& arm) { return row(arm, &entry, metric) != nullptr; };
      const bool has_metric = arms_.empty() ? has(results_.layout.baseline) : std::ranges::any_of(arms_, has);
      if (!has_metric || length < longest) continue;
      best = &entry;
      longest = length;
    }
    return best;
  }

  // " (q1s8k)" where another case has the metric too.
  [[nodiscard]] std::string where(const CaseLayout& entry, std::string_view metric) const {
    const bool is_only = std::ranges::none_of(rows_, [&](const auto& item) {
      return std::get<3>(item.first) == metric && CaseLayout{item.second->workload, item.second->case_name} != entry;
    });
    return is_only ? "" : fmt::format(" ({})", one_line(entry.case_name.empty() ? entry.workload : entry.case_name));
  }

  [[nodiscard]] const Family* family(const SummaryRow& row) const {
    const auto found = std::ranges::find_if(results_.summary.families, [&](const Family& family) {
      return family.workload == row.workload && family.case_name == row.case_name && family.metric == row.metric;
    });
    return found == results_.summary.families.end() ? nullptr : &*found;
  }

  [[nodiscard]] bool is_undecided(const SummaryRow& row) const {
    return row.ratio && row.ratio->interval && row.ratio->interval->is_confident() && !row.is_marked;
  }

  // "decodes 1.31 × [1.27, 1.36] as fast as mha", or that no difference is shown.
  [[nodiscard]] std::string speed(const SummaryRow* row, const char* verb, const char* noun) const {
    if (row == nullptr || !row->ratio) return {};
    const std::string place = where({row->workload, row->case_name}, row->metric);
    if (is_undecided(*row))
      return fmt::format("no difference in {} speed shown: {}{}", noun, ratio_words(*row->ratio), place);
    return fmt::format("{} {} as fast as {}{}", verb, ratio_words(*row->ratio), baseline_, place);
  }

  [[nodiscard]] std::string bytes(const std::string& arm) const {
    for (const CaseLayout* entry : {decode_, prefill_})
      if (const SummaryRow* found = row(arm, entry, kKvBytes); found != nullptr && found->ratio)
        return std::abs(found->ratio->median - 1) < kLeastShownChange
                   ? "as many KV bytes"
                   : fmt::format("{} the KV bytes", ratio_words({1, found->ratio->median, std::nullopt}));
    return {};
  }

  [[nodiscard]] std::string quality(const std::string& arm) const {
    const SummaryRow* found = row(arm, perplexity_, kPerplexity);
    if (found == nullptr || !found->ratio) return {};
    const std::string place = where(*perplexity_, kPerplexity);
    const std::string idle = idle_words(*perplexity_, arm);
    if (found->ratio->median == 1 && !found->is_marked) return "the same perplexity" + place + idle;
    if (is_undecided(*found))
      return fmt::format("no difference in perplexity shown: {}{}{}", change_words(*found->ratio), place, idle);
    const bool has_interval = found->ratio->interval.has_value();
    return fmt::format("perplexity {}{}{}{}", change_words(*found->ratio), has_interval ? "" : " (no interval)", place,
                       idle);
  }

  // What a cache has not shown.
  [[nodiscard]] std::string idle_words(const CaseLayout& entry, const std::string& arm) const {
    return has_evicted_nothing(results_, entry, arm) ? ", but it evicted nothing" : "";
  }

  [[nodiscard]] std::string recall(const std::string& arm) const {
    const SummaryRow* mine = row(arm, recall_, kRecallAccuracy);
    const SummaryRow* theirs = row(results_.layout.baseline, recall_, kRecallAccuracy);
    if (mine == nullptr || theirs == nullptr) return {};
    return fmt::format("recall {} against {}{}{}", format_value(mine->estimate.median, "share"),
                       format_value(theirs->estimate.median, "share"), where(*recall_, kRecallAccuracy),
                       idle_words(*recall_, arm));
  }

  [[nodiscard]] std::string compared(const std::string& arm) const {
    std::string decoding = speed(row(arm, decode_, kDecode), "decodes", "decode");
    const std::string memory = bytes(arm);
    std::vector<std::string> clauses;
    if (!decoding.empty() && !memory.empty()) decoding += " with " + memory;
    if (!decoding.empty()) clauses.push_back(decoding);
    clauses.push_back(speed(row(arm, prefill_, kPrefill), "prefills", "prefill"));
    if (decoding.empty()) clauses.push_back(memory);
    clauses.push_back(quality(arm));
    clauses.push_back(recall(arm));
    std::erase(clauses, std::string());
    if (clauses.empty()) return {};
    // "gqa decodes ...", but "gqa: no difference ...".
    const bool is_verb = clauses.front().starts_with("decodes") || clauses.front().starts_with("prefills");
    return fmt::format("{}{} {}", one_line(arm), is_verb ? "" : ":", fmt::join(clauses, "; "));
  }

  // Of one arm, where there is nothing to compare it with.
  [[nodiscard]] std::string alone(const std::string& arm) const {
    std::vector<std::string> clauses;
    const auto add_figure = [&](const CaseLayout* entry, std::string_view metric) {
      const SummaryRow* found = row(arm, entry, metric);
      if (found == nullptr) return;
      std::string clause =
          fmt::format("{} {}", metric_heading(metric), format_value(found->estimate.median, found->unit));
      if (const auto& interval = found->estimate.interval; interval && interval->is_confident())
        clause += fmt::format(" [{}, {}]", format_value(interval->low, found->unit),
                              format_value(interval->high, found->unit));
      clauses.push_back(clause + where(*entry, metric));
    };
    add_figure(decode_, kDecode);
    add_figure(prefill_, kPrefill);
    add_figure(decode_ != nullptr ? decode_ : prefill_, kKvBytes);
    add_figure(perplexity_, kPerplexity);
    add_figure(recall_, kRecallAccuracy);
    return clauses.empty() ? "" : fmt::format("{}: {}", one_line(arm), fmt::join(clauses, "; "));
  }

  [[nodiscard]] Rows rows_of(const CaseLayout* entry, std::string_view metric) const {
    Rows found;
    for (const std::string& arm : arms_)
      if (const SummaryRow* candidate = row(arm, entry, metric); candidate != nullptr && candidate->ratio)
        found.push_back(candidate);
    return found;
  }

  // Many arms: how many differ, and which of them is ahead.
  void add_best() {
    add_fastest(rows_of(decode_, kDecode), "decode", "decodes");
    add_fastest(rows_of(prefill_, kPrefill), "prefill", "prefills");
    const Rows memory = rows_of(decode_ != nullptr ? decode_ : prefill_, kKvBytes);
    if (const SummaryRow* least = extreme(memory, false); least != nullptr && least->ratio->median < 1)
      add(fmt::format("{} needs the fewest KV bytes: {} those of {}", one_line(least->arm),
                      ratio_words({1, least->ratio->median, std::nullopt}), baseline_));
    add_quality();
    // Who evicted nothing has no part in what a smaller cache forgets.
    Rows recalls = rows_of(recall_, kRecallAccuracy);
    const std::size_t idle = std::erase_if(
        recalls, [&](const SummaryRow* one) { return has_evicted_nothing(results_, *recall_, one->arm); });
    if (const SummaryRow* least = extreme(recalls, false); least != nullptr)
      add(fmt::format("{} of {} arms recall as much as {} or more; {} recalls least: {}",
                      std::ranges::count_if(recalls, [](const SummaryRow* row) { return row->ratio->median >= 1; }),
                      recalls.size(), baseline_, one_line(least->arm), format_value(least->estimate.median, "share")) +
          (idle > 0 ? fmt::format("; {} evicted nothing", count_words(idle, "arm", "arms")) : ""));
  }

  static const SummaryRow* extreme(const Rows& rows, bool is_greatest) {
    const auto ratio = [](const SummaryRow* row) { return row->ratio->median; };
    if (rows.empty()) return nullptr;
    return is_greatest ? *std::ranges::max_element(rows, {}, ratio) : *std::ranges::min_element(rows, {}, ratio);
  }

  void add_fastest(const Rows& rows, const char* noun, const char* verb) {
    if (rows.empty()) return;
    const auto faster =
        static_cast<std::size_t>(std::ranges::count_if(rows, [](auto* row) { return is_better(*row); }));
    const auto slower = static_cast<std::size_t>(std::ranges::count_if(rows, [](auto* row) { return is_worse(*row); }));
    const std::string place = where({rows.front()->workload, rows.front()->case_name}, rows.front()->metric);
    if (faster + slower == 0 && family(*rows.front()) != nullptr && family(*rows.front())->can_mark())
      return add(
          fmt::format("none of {} arms shows a difference in {} speed to {}{}", rows.size(), noun, baseline_, place));
    const SummaryRow* first = extreme(rows, true);
    std::string sentence = fmt::format("{} {} fastest: {} as fast as {}{}", one_line(first->arm), verb,
                                       ratio_words(*first->ratio), baseline_, place);
    if (faster + slower > 0)
      sentence += fmt::format("; of {} arms {} faster, {} slower, {} without a shown difference", rows.size(), faster,
                              slower, rows.size() - faster - slower);
    add(sentence);
  }

  void add_quality() {
    const Rows rows = rows_of(perplexity_, kPerplexity);
    if (rows.empty()) return;
    const std::string place = where(*perplexity_, kPerplexity);
    const auto least = extreme(rows, false);
    const auto most = extreme(rows, true);
    add(fmt::format("perplexity against {}: from {} ({}) to {} ({}){}", baseline_, change_words(*least->ratio),
                    one_line(least->arm), change_words(*most->ratio), one_line(most->arm), place));
    if (family(*rows.front()) == nullptr || !family(*rows.front())->can_mark()) return;
    // What costs no quality that could be shown, and saves the most.
    Rows memory;
    for (const SummaryRow* candidate : rows)
      if (!is_worse(*candidate) && !has_evicted_nothing(results_, *perplexity_, candidate->arm))
        for (const CaseLayout* entry : {decode_, prefill_})
          if (const SummaryRow* bytes = row(candidate->arm, entry, kKvBytes); bytes != nullptr && bytes->ratio) {
            memory.push_back(bytes);
            break;
          }
    if (const SummaryRow* saves = extreme(memory, false); saves != nullptr && saves->ratio->median < 1)
      add(fmt::format("of the {} without a shown loss in perplexity {} needs the fewest KV bytes: {}",
                      count_words(memory.size(), "arm", "arms"), one_line(saves->arm),
                      ratio_words({1, saves->ratio->median, std::nullopt})));
  }

  void add_without_verdict() {
    std::vector<std::string> titles;
    std::map<std::string, std::vector<std::string>> arms;  // by title, and first of all why
    for (const SummaryRow& row : results_.summary.rows) {
      if (row.no_verdict.empty()) continue;
      const std::string title = case_title({row.workload, row.case_name});
      std::vector<std::string>& of_case = arms[title];
      if (of_case.empty()) {
        titles.push_back(title);
        of_case.push_back(row.no_verdict);
      }
      if (std::ranges::find(of_case, one_line(row.arm)) == of_case.end()) of_case.push_back(one_line(row.arm));
    }
    for (const std::string& title : titles)
      add(fmt::format("no verdict on {} in {}: {}", fmt::join(arms[title].begin() + 1, arms[title].end(), ", "), title,
                      arms[title].front()));
  }

  void add_what_cannot_be_marked() {
    for (const bool is_of_text : {false, true}) {
      std::set<std::string> names;
      const Family* first = nullptr;
      for (const Family& family : results_.summary.families) {
        if (family.can_mark() || family.is_of_text != is_of_text) continue;
        const bool is_headline = family.metric == kDecode || family.metric == kPrefill || family.metric == kPerplexity;
        if (!is_headline) continue;
        names.insert(std::string(metric_heading(family.metric)));
        if (first == nullptr || family.rounds < first->rounds) first = &family;
      }
      if (first == nullptr) continue;
      const char* many = is_of_text ? "windows of text" : "rounds";
      const char* one = is_of_text ? "window of text" : "round";
      add(fmt::format("with {} no difference in {} can be marked, however large; {} {} would do",
                      count_words(static_cast<std::size_t>(first->rounds), one, many), fmt::join(names, " or "),
                      first->rounds_needed, many));
    }
  }

  void add_failures() {
    std::set<std::string> refused;
    std::set<std::string> refused_in_cases;
    std::set<std::string> failed;
    for (const SummaryRow& row : results_.summary.rows) {
      if (row.is_ok()) continue;
      std::set<std::string>& of_cases = row.workload.empty() ? refused : refused_in_cases;
      (row.status.starts_with("refused") ? of_cases : failed).insert(row.arm);
    }
    std::vector<std::string> parts;
    if (!failed.empty())
      parts.push_back(count_words(failed.size(), "arm failed at least once", "arms failed at least once"));
    if (!refused.empty()) parts.push_back(count_words(refused.size(), "arm was refused", "arms were refused"));
    if (!refused_in_cases.empty())
      parts.push_back(count_words(refused_in_cases.size(), "arm was refused in some cases, and ran in the others",
                                  "arms were refused in some cases, and ran in the others"));
    if (!parts.empty()) add(fmt::format("{}", fmt::join(parts, "; ")));
  }

  const Results& results_;
  std::string baseline_;
  std::map<Key, const SummaryRow*> rows_;  // that went well
  std::vector<std::string> arms_;          // compared with the baseline, in the layout's order
  const CaseLayout* decode_ = nullptr;
  const CaseLayout* prefill_ = nullptr;
  const CaseLayout* perplexity_ = nullptr;
  const CaseLayout* recall_ = nullptr;
  std::vector<std::string> sentences_;
};

}  // namespace

std::vector<std::string> verdict(const Results& results) {
  std::vector<std::string> sentences = Verdict(results).sentences();
  for (std::string& sentence : sentences)
    if (sentence.starts_with("with ") || sentence.starts_with("no verdict ") || sentence.starts_with("of ") ||
        sentence.starts_with("none ") || sentence.starts_with("perplexity "))
      sentence.front() = static_cast<char>(sentence.front() - 'a' + 'A');
  return sentences;
}

}  // namespace attnlab::report
