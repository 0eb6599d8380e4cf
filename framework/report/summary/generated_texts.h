// What `generate` wrote, each text once: with the arms that wrote it.
#pragma once

#include <string>
#include <vector>

#include "report/summary/results.h"

namespace attnlab::report {

struct GeneratedText {
  CaseLayout entry;
  std::vector<std::string> arms;  // "gqa/full", or "gqa/full (seed 2)" where there are several seeds
  std::string prompt, text;
};

/// By case, then in the order in which the arms have a text first. Of the rounds of an arm and seed, which write the
/// same, the first counts.
[[nodiscard]] std::vector<GeneratedText> generated_texts(const Results& results);

}  // namespace attnlab::report
