#include "report/pages/verdict_words.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "report/pages/training_words.h"
#include "report/read/format.h"
#include "report/read/metrics.h"
#include "report/summary/verdict_table.h"

namespace attnlab::report {
namespace {

constexpr std::size_t kMostSentences = 8;
constexpr std::size_t kMostArmsOneByOne = 5;
// A sentence that begins with one of these, and not with the name of an arm, begins with a capital letter.
constexpr const char* kOwnWords[] = {"with ",           "none of ",       "perplexity against ",
                                     "decode speed ",   "prefill speed ", "recall: ",
                                     "right answers: ", "the ",           "no verdict "};
constexpr double kOneStory = 0.05;             // cases whose ratios are as close tell the same
constexpr double kLeastShownChange = 0.00005;  // below, a change is written as none

// Two decimals, three where the ratio is close to 1, small or very sure, as many in the interval.
std::string ratio_words(const Estimate& ratio) {
  const bool is_sure =
      ratio.interval && ratio.interval->is_confident() && ratio.interval->high - ratio.interval->low < 0.02;
  const bool is_fine = std::abs(ratio.median - 1) < 0.1 || ratio.median < 0.1 || is_sure;
  const int decimals = is_fine ? 3 : ratio.median < 10 ? 2 : 1;
  std::string words = fmt::format("{:.{}f} ×", ratio.median, decimals);
  if (ratio.interval && ratio.interval->is_confident())
    words += fmt::format(" [{:.{}f}, {:.{}f}{}]", ratio.interval->low, decimals, ratio.interval->high, decimals,
                         ratio.interval->is_of_slices ? " of slices" : "");
  return words;
}

// "+0.4", "-0.4", and "0.0" of what is nearer to 0 than the decimals tell.
std::string signed_words(double value, int decimals) {
  const std::string words = fmt::format("{:+.{}f}", value, decimals);
  return words.find_first_of("123456789") == words.npos ? words.substr(1) : words;
}

// "+0.4 % [+0.2, +0.6]"; a multiple from twice as much on.
std::string change_words(const Estimate& ratio) {
  if (ratio.median >= 2 || ratio.median <= 0.5) return ratio_words(ratio);
  const auto percent = [](double value) { return (value - 1) * 100; };
  const int decimals = std::abs(percent(ratio.median)) < 0.95 ? 2 : 1;
  std::string words = signed_words(percent(ratio.median), decimals) + " %";
  if (ratio.interval && ratio.interval->is_confident())
    words += fmt::format(" [{}, {}{}]", signed_words(percent(ratio.interval->low), decimals),
                         signed_words(percent(ratio.interval->high), decimals),
                         ratio.interval->is_of_slices ? " of slices" : "");
  return words;
}

// With what the reader must know before using it.
std::string marked_ratio_words(const SummaryRow& row) {
  std::string words = ratio_words(*row.ratio);
  if (row.is_unstable && row.quotient)
    words +=
        fmt::format(" (unstable: the quotient of the medians is {})", ratio_words({1, *row.quotient, std::nullopt}));
  return words;
}

std::string count_words(std::size_t count, const char* one, const char* many) {
  return count == 1 ? fmt::format("1 {}", one) : fmt::format("{} {}", count, many);
}

// Shares of right answers, and how sentences name them.
struct Answered {
  std::string_view metric;
  const char* noun;
  const char* verb;
};
constexpr std::array kAnswered = {Answered{kRecallAccuracy, "recall", "recalled"},
                                  Answered{kAnswerAccuracy, "right answers", "answered"}};

bool is_better_row(const SummaryRow* row) {
  return row->is_marked && (row->better == "higher") == (row->ratio->median > 1);
}

bool is_worse_row(const SummaryRow* row) {
  return row->is_marked && !is_better_row(row);
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
    for (const Answered& one : kAnswered) answered_.push_back(headline_case(one.metric));
  }

  std::vector<std::string> sentences() {
    add(training_progress(results_));
    if (rows_.empty()) return add_without_verdict(), add_failures(), std::move(sentences_);
    if (arms_.empty())
      add(alone(results_.layout.baseline));
    else if (arms_.size() <= kMostArmsOneByOne)
      for (const std::string& arm : arms_) add(compared(arm));
    else
      add_ranges();
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

  // The arm's rows of a metric that have a ratio, in all cases.
  [[nodiscard]] Rows over_cases(const std::string& arm, std::string_view metric) const {
    Rows found;
    for (const CaseLayout& entry : results_.layout.cases)
      if (const SummaryRow* one = row(arm, &entry, metric); one != nullptr && one->ratio) found.push_back(one);
    return found;
  }

  // The row of the headline case; where it did not end well, of another.
  static const SummaryRow* headline_row(const Rows& rows, const CaseLayout* headline) {
    const auto found = std::ranges::find_if(rows, [&](const SummaryRow* row) {
      return headline != nullptr && row->workload == headline->workload && row->case_name == headline->case_name;
    });
    return found == rows.end() ? rows.back() : *found;
  }

  static std::string case_of(const SummaryRow& row) {
    return one_line(row.case_name.empty() ? row.workload : row.case_name);
  }

  // Whether one case speaks for the others: all tell the same within a few percent, and none the opposite.
  static bool is_one_story(const Rows& rows) {
    const auto [least, most] = ends(rows);
    const bool is_close = most->ratio->median - least->ratio->median <= kOneStory * std::abs(most->ratio->median);
    return is_close && (std::ranges::none_of(rows, is_better_row) || std::ranges::none_of(rows, is_worse_row));
  }

  // "0.80 × [0.78, 0.82] (q1s512) to 1.90 × [1.85, 1.95] (q1s8k)": the worst is told with the best.
  template <class Words>
  [[nodiscard]] std::string range_words(const Rows& rows, const Words& words) const {
    const auto end = [&](const SummaryRow* row) {
      return fmt::format("{} ({}{})", words(*row), case_of(*row), is_undecided(*row) ? ", no difference shown" : "");
    };
    const auto [least, most] = ends(rows);
    return fmt::format("{} to {}", end(least), end(most));
  }

  // "decodes 1.31 × [1.27, 1.36] as fast as mha", or that no difference is shown; over all cases.
  [[nodiscard]] std::string speed(const std::string& arm, const CaseLayout* headline, std::string_view metric,
                                  const char* verb, const char* noun) const {
    const Rows rows = over_cases(arm, metric);
    if (rows.empty()) return {};
    const SummaryRow* first = headline_row(rows, headline);
    const std::string place = where({first->workload, first->case_name}, metric);
    if (std::ranges::all_of(rows, [&](const SummaryRow* row) { return is_undecided(*row); })) {
      const std::string figures =
          is_one_story(rows) ? marked_ratio_words(*first) + place : range_words(rows, marked_ratio_words);
      return fmt::format("no difference in {} speed shown: {}", noun, figures);
    }
    if (!is_one_story(rows))
      return fmt::format("{} {} as fast as {}", verb, range_words(rows, marked_ratio_words), baseline_);
    return fmt::format("{} {} as fast as {}{}", verb, marked_ratio_words(*first), baseline_, place);
  }

  // Bytes of the cases that decode, or of those that prefill where none does.
  [[nodiscard]] Rows bytes_of(const std::string& arm) const {
    for (const std::string_view speed : {kDecode, kPrefill}) {
      Rows rows = over_cases(arm, kKvBytes);
      std::erase_if(rows, [&](const SummaryRow* bytes) {
        const CaseLayout entry{bytes->workload, bytes->case_name};
        return row(arm, &entry, speed) == nullptr;
      });
      if (!rows.empty()) return rows;
    }
    return {};
  }

  static std::string bytes_words(const SummaryRow& row) { return ratio_words({1, row.ratio->median, std::nullopt}); }

  [[nodiscard]] std::string bytes(const std::string& arm) const {
    const Rows rows = bytes_of(arm);
    if (rows.empty()) return {};
    const auto [least, most] = ends(rows);
    if (std::abs(least->ratio->median - 1) < kLeastShownChange && std::abs(most->ratio->median - 1) < kLeastShownChange)
      return "as many KV bytes";
    if (is_one_story(rows)) return fmt::format("{} the KV bytes", bytes_words(*rows.front()));
    return fmt::format("{} the KV bytes", range_words(rows, bytes_words));
  }

  [[nodiscard]] std::string quality(const std::string& arm) const {
    const Rows rows = over_cases(arm, kPerplexity);
    if (rows.empty()) return {};
    const SummaryRow* found = headline_row(rows, perplexity_);
    const auto words = [](const SummaryRow& row) {
      return change_words(*row.ratio) + (row.ratio->interval ? "" : " (no interval)");
    };
    const std::string place = where({found->workload, found->case_name}, kPerplexity);
    const std::string idle = idle_words(rows);
    const bool is_same =
        std::ranges::all_of(rows, [](const SummaryRow* row) { return row->ratio->median == 1 && !row->is_marked; });
    if (is_same) return "the same perplexity" + (rows.size() > 1 ? std::string() : place) + idle;
    const bool is_one = is_one_story(rows);
    const std::string figures = (is_one ? words(*found) + place : range_words(rows, words)) + idle;
    if (std::ranges::all_of(rows, [&](const SummaryRow* row) { return is_undecided(*row); }))
      return "no difference in perplexity shown: " + figures;
    return "perplexity " + figures;
  }

  // What a cache has not shown: ", but it evicted nothing", and in which cases where it did in others.
  static std::string idle_words(const Rows& rows) {
    std::vector<std::string> cases;
    for (const SummaryRow* row : rows)
      if (row->evicted_nothing) cases.push_back(case_of(*row));
    if (cases.empty()) return {};
    return ", but it evicted nothing" +
           (cases.size() < rows.size() ? fmt::format(" ({})", fmt::join(cases, ", ")) : std::string());
  }

  [[nodiscard]] std::string answered(const std::string& arm, std::size_t index) const {
    const std::string_view metric = kAnswered[index].metric;
    const char* noun = kAnswered[index].noun;
    const CaseLayout* headline = answered_[index];
    const auto words = [&](const SummaryRow& mine) {
      const CaseLayout entry{mine.workload, mine.case_name};
      const SummaryRow* theirs = row(results_.layout.baseline, &entry, metric);
      return fmt::format("{} against {}", format_value(mine.estimate.median, "share"),
                         theirs == nullptr ? "none" : format_value(theirs->estimate.median, "share"));
    };
    const Rows rows = over_cases(arm, metric);
    const SummaryRow* mine = row(arm, headline, metric);
    if (mine != nullptr && (rows.empty() || is_one_story(rows)) &&
        row(results_.layout.baseline, headline, metric) != nullptr)
      return fmt::format("{} {}{}{}", noun, words(*mine), where(*headline, metric),
                         idle_words(rows.empty() ? Rows{mine} : rows));
    return rows.empty() ? "" : fmt::format("{} {}{}", noun, range_words(rows, words), idle_words(rows));
  }

  [[nodiscard]] std::string compared(const std::string& arm) const {
    std::string decoding = speed(arm, decode_, kDecode, "decodes", "decode");
    const std::string memory = bytes(arm);
    std::vector<std::string> clauses;
    if (!decoding.empty() && !memory.empty()) decoding += " with " + memory;
    if (!decoding.empty()) clauses.push_back(decoding);
    clauses.push_back(speed(arm, prefill_, kPrefill, "prefills", "prefill"));
    if (decoding.empty()) clauses.push_back(memory);
    clauses.push_back(quality(arm));
    for (std::size_t i = 0; i < kAnswered.size(); ++i) clauses.push_back(answered(arm, i));
    clauses.push_back(trained_words(results_, arm));
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
    for (std::size_t i = 0; i < kAnswered.size(); ++i) add_figure(answered_[i], kAnswered[i].metric);
    if (const std::string trained = trained_figure(results_, arm); !trained.empty()) clauses.push_back(trained);
    return clauses.empty() ? "" : fmt::format("{}: {}", one_line(arm), fmt::join(clauses, "; "));
  }

  [[nodiscard]] Rows rows_of(const CaseLayout* entry, std::string_view metric) const {
    Rows found;
    for (const std::string& arm : arms_)
      if (const SummaryRow* candidate = row(arm, entry, metric); candidate != nullptr && candidate->ratio)
        found.push_back(candidate);
    return found;
  }

  // Of all arms in all cases.
  [[nodiscard]] Rows all_rows(std::string_view metric) const {
    Rows found;
    for (const std::string& arm : arms_) {
      const Rows mine = over_cases(arm, metric);
      found.insert(found.end(), mine.begin(), mine.end());
    }
    return found;
  }

  // Many arms: from which to which they go, worst and best together, and how many differ. No arm is called the fastest:
  // the marks are about each arm and the baseline, not about one arm and the next.
  void add_ranges() {
    add_speeds(decode_, kDecode, "decode");
    add_speeds(prefill_, kPrefill, "prefill");
    Rows memory;
    for (const std::string& arm : arms_)
      for (const SummaryRow* bytes : bytes_of(arm)) memory.push_back(bytes);
    if (!memory.empty())
      add(fmt::format("KV bytes against {}{}: {}", baseline_, exactly(memory), ends_words(memory, bytes_words)));
    add_quality();
    for (const Answered& one : kAnswered) add_answered(one);
    add(trained_ranges(results_));
  }

  void add_answered(const Answered& one) {
    const Rows all = all_rows(one.metric);
    Rows recalls = all;
    // An arm that evicted nothing says nothing of what a smaller cache forgets.
    std::erase_if(recalls, [](const SummaryRow* row) { return row->evicted_nothing; });
    if (recalls.empty()) {
      if (!all.empty()) add(fmt::format("{}: {}", one.noun, idle_arms_words(all, "")));
      return;
    }
    add(fmt::format(
        "{}: {} (arms and cases in which as much is {} as by {}, or more: {} of {}){}", one.noun,
        ends_words(recalls, [](const SummaryRow& row) { return format_value(row.estimate.median, "share"); }), one.verb,
        baseline_, std::ranges::count_if(recalls, [](const SummaryRow* row) { return row->ratio->median >= 1; }),
        recalls.size(), idle_arms_words(all, "; ")));
  }

  // "; 2 arms evicted nothing", and that it was not in all cases.
  static std::string idle_arms_words(const Rows& rows, const char* before) {
    std::set<std::string> idle, busy;
    for (const SummaryRow* row : rows) (row->evicted_nothing ? idle : busy).insert(row->arm);
    if (idle.empty()) return {};
    const bool is_in_some = std::ranges::any_of(idle, [&](const std::string& arm) { return busy.contains(arm); });
    return fmt::format("{}{} evicted nothing{}", before, count_words(idle.size(), "arm", "arms"),
                       is_in_some ? " in some cases" : "");
  }

  // Bytes are the same in every round, so a difference is one without any interval.
  static std::string exactly(const Rows& rows) {
    return std::ranges::none_of(rows, [](const SummaryRow* row) { return row->ratio->interval.has_value(); })
               ? " (exact)"
               : "";
  }

  static std::pair<const SummaryRow*, const SummaryRow*> ends(const Rows& rows) {
    const auto ratio = [](const SummaryRow* row) { return row->ratio->median; };
    return {*std::ranges::min_element(rows, {}, ratio), *std::ranges::max_element(rows, {}, ratio)};
  }

  // "a3" or "a3 and 2 more", with the case where the metric has several.
  [[nodiscard]] std::string name_words(const Rows& rows, const SummaryRow& row) const {
    std::set<std::string> others;
    for (const SummaryRow* other : rows)
      if (other->arm != row.arm && std::abs(other->ratio->median - row.ratio->median) < kLeastShownChange)
        others.insert(other->arm);
    const bool has_cases = std::ranges::any_of(rows, [&](const SummaryRow* other) {
      return other->workload != row.workload || other->case_name != row.case_name;
    });
    return fmt::format("{}{}{}", one_line(row.arm), others.empty() ? "" : fmt::format(" and {} more", others.size()),
                       has_cases ? ", " + case_of(row) : "");
  }

  // "from 0.80 × (a3, q1s512) to 3.20 × (a11, q1s8k)"; "0.33 × (a0 and 11 more)" where all are the same.
  template <class Words>
  [[nodiscard]] std::string ends_words(const Rows& rows, const Words& words) const {
    const auto [least, most] = ends(rows);
    const auto end = [&](const SummaryRow* row) { return fmt::format("{} ({})", words(*row), name_words(rows, *row)); };
    if (most->ratio->median - least->ratio->median < kLeastShownChange) return end(least);
    return fmt::format("from {} to {}", end(least), end(most));
  }

  void add_speeds(const CaseLayout* headline, std::string_view metric, const char* noun) {
    const Rows rows = all_rows(metric);
    const Rows first = rows_of(headline, metric);
    if (rows.empty() || first.empty()) return;
    const bool is_any_marked = std::ranges::any_of(rows, &SummaryRow::is_marked);
    const Family* of_first = family(*first.front());
    const std::string place = where(*headline, metric);
    if (!is_any_marked && of_first != nullptr && of_first->can_mark())
      return add(fmt::format("none of {} arms shows a difference in {} speed to {}{}", first.size(), noun, baseline_,
                             place.empty() ? "" : " in any case"));
    std::string sentence =
        fmt::format("{} speed against {}: {}", noun, baseline_, ends_words(rows, marked_ratio_words));
    if (is_any_marked) {
      const auto faster = static_cast<std::size_t>(std::ranges::count_if(first, is_better_row));
      const auto slower = static_cast<std::size_t>(std::ranges::count_if(first, is_worse_row));
      sentence += fmt::format("; of {} arms {} faster, {} slower, {} without a shown difference{}", first.size(),
                              faster, slower, first.size() - faster - slower, place);
    }
    add(sentence);
  }

  void add_quality() {
    const Rows rows = all_rows(kPerplexity);
    if (rows.empty()) return;
    add(fmt::format("perplexity against {}: {}{}", baseline_,
                    ends_words(rows, [](const SummaryRow& row) { return change_words(*row.ratio); }),
                    idle_arms_words(rows, "; ")));
    const Rows first = rows_of(perplexity_, kPerplexity);
    if (first.empty() || family(*first.front()) == nullptr || !family(*first.front())->can_mark()) return;
    // What costs no quality that could be shown in any case.
    Rows memory;
    std::set<std::string> arms;
    for (const std::string& arm : arms_) {
      const Rows mine = over_cases(arm, kPerplexity);
      if (mine.empty() || std::ranges::any_of(mine, is_worse_row)) continue;
      if (std::ranges::any_of(mine, &SummaryRow::evicted_nothing)) continue;
      for (const SummaryRow* bytes : bytes_of(arm)) {
        memory.push_back(bytes);
        arms.insert(arm);
      }
    }
    if (memory.empty()) return;
    const auto [least, most] = ends(memory);
    if (least->ratio->median < 1)
      add(fmt::format("the {} without a shown loss in perplexity: KV bytes {}{}",
                      count_words(arms.size(), "arm", "arms"), ends_words(memory, bytes_words), exactly(memory)));
  }

  void add_without_verdict() {
    using Unjudged = std::pair<std::vector<std::string>, std::vector<std::string>>;  // arms; reasons, one a policy
    const auto add_once = [](std::vector<std::string>& texts, const std::string& text) {
      if (std::ranges::find(texts, text) == texts.end()) texts.push_back(text);
    };
    // The same arms for the same reasons are one sentence, whatever the cases: there is room for few.
    std::vector<std::pair<Unjudged, std::vector<std::string>>> alike;  // with the titles
    for (const CaseLayout& entry : results_.layout.cases) {
      Unjudged found;
      for (const SummaryRow& row : results_.summary.rows) {
        if (row.no_verdict.empty() || row.workload != entry.workload || row.case_name != entry.case_name) continue;
        add_once(found.first, one_line(row.arm));
        add_once(found.second, row.no_verdict);
      }
      if (found.first.empty()) continue;
      const auto known = std::ranges::find_if(alike, [&](const auto& one) { return one.first == found; });
      if (known == alike.end())
        alike.push_back({found, {case_title(entry)}});
      else
        known->second.push_back(case_title(entry));
    }
    for (const auto& [unjudged, titles] : alike)
      add(fmt::format("no verdict on {} in {}: {}", fmt::join(unjudged.first, ", "), fmt::join(titles, ", "),
                      fmt::join(unjudged.second, "; ")));
  }

  void add_what_cannot_be_marked() {
    struct Unit {
      const char *one, *many;  // as Family::unit()
    };
    for (const auto& [one, many] :
         {Unit{"round", "rounds"}, {"window of text", "windows of text"}, {"seed", "seeds"}}) {
      const bool is_of_seeds = std::string_view(many) == "seeds";
      std::vector<std::string> names;
      const Family* first = nullptr;
      for (const Family& family : results_.summary.families) {
        if (family.can_mark() || std::string_view(family.unit()) != many) continue;
        const bool is_headline = family.metric == kDecode || family.metric == kPrefill ||
                                 family.metric == kPerplexity || (is_of_seeds && is_quality(family.metric));
        if (!is_headline) continue;
        if (const std::string name(metric_heading(family.metric)); std::ranges::find(names, name) == names.end())
          names.push_back(name);
        if (first == nullptr || family.rounds < first->rounds) first = &family;
      }
      if (first == nullptr) continue;
      std::ranges::sort(names);
      const std::string count = count_words(static_cast<std::size_t>(first->rounds), one, many);
      if (is_of_seeds)
        add(fmt::format("{} {} too few for a verdict on {}; {} would do", count, first->rounds == 1 ? "is" : "are",
                        fmt::join(names, " or "), first->rounds_needed));
      else
        add(fmt::format("with {} no difference in {} can be marked, however large; {} {} would do", count,
                        fmt::join(names, " or "), first->rounds_needed, many));
    }
  }

  void add_failures() {
    std::set<std::string> refused;
    std::set<std::string> refused_in_cases;
    std::set<std::string> failed;
    std::set<std::string> diverged;
    for (const SummaryRow& row : results_.summary.rows) {
      if (row.is_ok()) continue;
      std::set<std::string>& of_cases = row.workload.empty() ? refused : refused_in_cases;
      std::set<std::string>& others = row.status.starts_with("diverged") ? diverged : failed;
      (row.status.starts_with("refused") ? of_cases : others).insert(row.arm);
    }
    std::vector<std::string> parts;
    if (!diverged.empty())
      parts.push_back(count_words(diverged.size(), "arm diverged in training with at least one seed",
                                  "arms diverged in training with at least one seed"));
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
  std::vector<const CaseLayout*> answered_;  // the headline case of each of kAnswered
  std::vector<std::string> sentences_;
};

}  // namespace

std::vector<std::string> verdict(const Results& results) {
  std::vector<std::string> sentences = Verdict(results).sentences();
  for (std::string& sentence : sentences)
    if (std::ranges::any_of(kOwnWords, [&](const char* word) { return sentence.starts_with(word); }))
      sentence.front() = static_cast<char>(sentence.front() - 'a' + 'A');
  return sentences;
}

}  // namespace attnlab::report
