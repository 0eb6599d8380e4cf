// Which model and which texts a report is about, in words: the first thing that every output says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>

#include "report/summary/results.h"

namespace attnlab::report {

/// The first twelve digits: enough to tell files apart.
[[nodiscard]] std::string short_hash(std::string_view sha256);

/// "configs/models/tiny.yaml: LlamaForCausalLM, 2 layers, hidden 64, 4 heads (2 kv) of 16, vocabulary 256, 123 k
/// parameters, random weights from seed; config sha256 0123456789ab, weights 0123456789ab". One line.
[[nodiscard]] ATTNLAB_API std::string model_words(const ModelIdentity& model);

/// A warning for a banner: "Random weights: ...". Empty where there is none.
[[nodiscard]] ATTNLAB_API std::string banner_words(const Results& results);

/// Plain sentences without a line break, one for the model and one for each case that has data: its file and hash, the
/// tokens scored, whether windows begin with BOS; and which arm KL is measured against where the baseline is another.
[[nodiscard]] ATTNLAB_API std::vector<std::string> input_words(const Results& results);

}  // namespace attnlab::report
