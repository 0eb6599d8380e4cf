#include "report/summary/generated_texts.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "report/summary/verdict_table.h"

namespace attnlab::report {

std::vector<GeneratedText> generated_texts(const Results& results) {
  std::vector<GeneratedText> all;
  for (const CaseLayout& entry : results.layout.cases)
    for (const ArmLayout& arm : results.layout.arms) {
      std::set<std::int64_t> seeds;
      for (const TrialResult& trial : results.trials) {  // by round
        if (trial.arm != arm.name || trial.workload != entry.workload || trial.case_name != entry.case_name) continue;
        const std::vector<std::string> text = detail_strings(trial, "text");
        if (!trial.is_ok() || text.empty() || !seeds.insert(trial.seed).second) continue;
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
