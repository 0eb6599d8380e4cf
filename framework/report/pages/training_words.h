// What a report says of its trainings in words and tables: how far they are, how they ended, what a search tried.
#pragma once

#include <string>
#include <vector>

#include "report/summary/results.h"

namespace attnlab::report {

/// "Trainings: 3 of 9 have ended; 1 is running (mha/rope/full, seed 2: step 1200 of 3000); 5 wait." Empty where all
/// have ended, or none was planned.
[[nodiscard]] std::string training_progress(const Results& results);

/// A table: its head, then its lines, of equally many fields.
using WordsTable = std::vector<std::vector<std::string>>;

/// One line for the arms and learning rate of each training that is shown: how many seeds have ended, steps, time, and
/// what must not be overlooked (stopped early, diverged with its reason). Empty without trainings.
[[nodiscard]] WordsTable trainings_table(const Results& results);

/// Learning rate by validation loss, the mean over seeds; which was kept, and what diverged. Empty without a search.
[[nodiscard]] WordsTable search_table(const Results& results);

/// What stands above the search, and what its mean leaves out.
inline constexpr const char* kSearchWords =
    "Validation loss is the mean over the seeds that ended well; the arm keeps the rate of the least.";

/// Of an arm's quality after training against the baseline's, with what the seeds allow to say; empty where the arm has
/// no such figure.
[[nodiscard]] std::string trained_words(const Results& results, const std::string& arm);

/// The same of the baseline, or of an arm that is compared with none.
[[nodiscard]] std::string trained_figure(const Results& results, const std::string& arm);

/// From the least to the greatest of all arms, and how many differ from the baseline; empty without trainings.
[[nodiscard]] std::string trained_ranges(const Results& results);

}  // namespace attnlab::report
