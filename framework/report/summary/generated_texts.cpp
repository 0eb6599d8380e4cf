#include "report/summary/generated_texts.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "report/summary/verdict_table.h"

namespace attnlab::report {

std::vector<GeneratedText> generated_texts(const Results& results) {
  std::vector<GeneratedText> all;
  // Most studies have none, and large ones many trials.
  std::map<std::tuple<std::string, std::string, std::string>, std::vector<const TrialResult*>> with_text;
  for (const TrialResult& trial : results.trials)  // by round
    if (trial.is_ok() && !detail_strings(trial, "text").empty())
      with_text[{trial.workload, trial.case_name, trial.arm}].push_back(&trial);
  if (with_text.empty()) return all;
  for (const CaseLayout& entry : results.layout.cases)
    for (const ArmLayout& arm : results.layout.arms) {
      std::set<std::int64_t> seeds;
      const auto trials = with_text.find({entry.workload, entry.case_name, arm.name});
      if (trials == with_text.end()) continue;
      for (const TrialResult* one_trial : trials->second) {
        const TrialResult& trial = *one_trial;
        const std::vector<std::string> text = detail_strings(trial, "text");
        if (!seeds.insert(trial.seed).second) continue;
        const std::vector<std::string> prompts = detail_strings(trial, "prompt");
        const std::string prompt = prompts.empty() ? "" : prompts.front();
        const std::string name =
            results.layout.seeds.size() > 1 ? fmt::format("{} (seed {})", arm.name, trial.seed) : arm.name;
        const auto known = std::ranges::find_if(all, [&](const GeneratedText& one) {
          return one.entry == entry && one.prompt == prompt && one.text == text.front();
        });
        if (known == all.end())
          all.push_back({entry, {name}, prompt, text.front()});
        else
          known->arms.push_back(name);
      }
    }
  return all;
}

}  // namespace attnlab::report
