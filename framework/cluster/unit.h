// What one job does: a training, what never changes of one arm, or a paired round of all arms. A unit is known by names
// that hold in any process that plans the same study, not by indices.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include <attnlab/api.h>
#include <nlohmann/json_fwd.hpp>

#include "runner/trial_runner.h"
#include "study/plan.h"

namespace attnlab::cluster {

enum class UnitKind : std::uint8_t { training, once, round };

struct Unit {
  UnitKind kind = UnitKind::once;
  std::string arm = {};   // of a training and of what is done once
  std::int64_t seed = 0;  // likewise
  int round = 0;
  std::string training = {};  // its id
  /// A hash of the ids of all its trials, so that a job whose files are not those of the study any more does nothing.
  std::string check = {};

  /// The same work, whichever submission it was in.
  [[nodiscard]] ATTNLAB_API std::string key() const;
  /// "training of mha, seed 2", for people.
  [[nodiscard]] std::string title() const;

  friend bool operator==(const Unit&, const Unit&) = default;
};

void to_json(nlohmann::json& json, const Unit& unit);
/// nlohmann::json::exception for what is none.
void from_json(const nlohmann::json& json, Unit& unit);

/// The units of a planned study, which must outlive this. Look-ups by name; Error for what the study does not have.
class ATTNLAB_API StudyUnits {
 public:
  explicit StudyUnits(const experiment::Plan& plan);

  /// All with the rounds [first_round, end_round), whether they are done or not: trainings in their order; of every
  /// seed the baseline and then the other arms, in the order of their trainings; rounds. Only where the first round is
  /// 0 those that are no rounds.
  [[nodiscard]] std::vector<Unit> all(int first_round, int end_round) const;

  /// The trials that the unit leaves, without its training.
  [[nodiscard]] std::vector<experiment::ProcessTask> tasks_of(const Unit& unit) const;
  /// As `check` has it, in this process.
  [[nodiscard]] std::string check_of(const Unit& unit) const;

  [[nodiscard]] std::size_t arm(const std::string& name) const;
  [[nodiscard]] std::size_t training(const std::string& id) const;

 private:
  const experiment::Plan& plan_;
  std::unordered_map<std::string, std::size_t> arms_, trainings_;
};

}  // namespace attnlab::cluster
