// What the constructed recall model answers in an arm, known before it runs: a query is answered exactly if the row of
// its value is still there. So a cache that keeps by position is held against its own definition, to the last query.
// Not here: policies that keep by scores; what they keep is not known beforehand.
#pragma once

#include <optional>
#include <string>

#include <attnlab/api.h>

#include "experiment/arm_model.h"
#include "experiment/recall_data.h"

namespace attnlab::experiment {

struct RecallPrediction {
  int window = 0;  // newest tokens that a query sees, its own included; 0: all
  int sinks = 0;   // first tokens that it sees besides

  [[nodiscard]] bool answers(const RecallQuery& query) const noexcept {
    return window == 0 || query.position - query.value_position <= window - 1 || query.value_position < sinks;
  }
};

/// None where the layers differ, or where the cache is not one of full, window and sink.
[[nodiscard]] ATTNLAB_API std::optional<RecallPrediction> predict_recall(const ResolvedArm& arm);

/// Why the constructed recall model's weights do not do their work with the arm's components; empty where they do.
[[nodiscard]] ATTNLAB_API std::string recall_conflict(const ResolvedArm& arm, const model::ModelConfig& config);

}  // namespace attnlab::experiment
