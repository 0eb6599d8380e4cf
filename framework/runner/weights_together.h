// What arms that are measured together hold alike: packed once, in this process, from which theirs are forked. So more
// arms stand side by side in the same memory, and a round waits for its weights once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>

#include <attnlab/api.h>

#include "model/shared_weights.h"
#include "runner/process_task.h"
#include "study/plan.h"

namespace attnlab::experiment {

/// Counts the weights of processes that stand side by side.
class ATTNLAB_API WeightsCount {
 public:
  explicit WeightsCount(const Plan& plan) : plan_(plan) {}
  /// That one more process takes, beside those that were taken in.
  [[nodiscard]] std::size_t bytes_more(const ProcessTask& task) const;
  void take_in(const ProcessTask& task);

 private:
  const Plan& plan_;
  std::set<std::string> keys_;
};

class ATTNLAB_API WeightsTogether {
 public:
  /// Packs nothing yet. Both must outlive this.
  WeightsTogether(const Plan& plan, std::span<const ProcessTask> tasks) : plan_(plan), tasks_(tasks) {}

  /// What a process has that is forked while this lives.
  class ATTNLAB_API Inherited {
   public:
    explicit Inherited(model::SharedParts parts);
    ~Inherited();
    Inherited(const Inherited&) = delete;
    Inherited& operator=(const Inherited&) = delete;
    [[nodiscard]] const model::SharedParts& parts() const noexcept { return parts_; }

   private:
    model::SharedParts parts_;
  };

  /// What the task, by its index, holds alike with another, and nothing else; all of it is packed the first time. None
  /// where it cannot be packed: the processes say why themselves.
  [[nodiscard]] Inherited of(std::size_t task);

 private:
  void pack();

  const Plan& plan_;
  std::span<const ProcessTask> tasks_;
  bool is_packed_ = false;
  std::map<std::uint64_t, model::SharedWeights> parts_;  // by those that hold it, a bit for each task
};

}  // namespace attnlab::experiment
