#include "cluster/training_folder.h"

#include <system_error>
#include <vector>

#include <attnlab/error.h>

#include "report/read/training_record.h"

namespace attnlab::cluster {
namespace fs = std::filesystem;
namespace {

// Of every job that has begun the training, in every submission.
std::vector<fs::path> folders_of(const fs::path& results, const std::string& id) {
  std::vector<fs::path> folders;
  std::error_code none;
  for (fs::directory_iterator submission(results / "jobs", none), last; !none && submission != last;
       submission.increment(none)) {
    std::error_code ignored;
    for (fs::directory_iterator entry(submission->path() / "trainings", ignored), end; !ignored && entry != end;
         entry.increment(ignored))
      if (entry->path().filename().string().starts_with(id + ".")) folders.push_back(entry->path());
  }
  return folders;
}

void move(const fs::path& from, const fs::path& to) {
  std::error_code failure;
  if (!fs::exists(from, failure)) return;
  fs::create_directories(to.parent_path(), failure);
  if (fs::is_directory(to, failure)) return;  // another job was first
  fs::rename(from, to, failure);
  if (failure) throw Error(from.string(), "cannot be moved to " + to.string() + ": " + failure.message());
}

}  // namespace

fs::path begin_training(const fs::path& results, int submission, const std::string& id, const std::string& job) {
  fs::path furthest;
  std::uintmax_t most = 0;
  for (const fs::path& folder : folders_of(results, id)) {
    std::error_code failure;
    const std::uintmax_t size = fs::file_size(report::curve_file(folder, id), failure);
    if (!failure && size > most) {
      most = size;
      furthest = folder;
    }
  }
  const fs::path own = results / "jobs" / std::to_string(submission) / "trainings" / (id + "." + job);
  std::error_code failure;
  fs::create_directories(own / "training", failure);
  if (failure) throw Error(own.string(), "the folder cannot be made: " + failure.message());
  // What cannot be copied is trained anew.
  for (fs::directory_iterator entry(furthest / "training", failure), end; !failure && entry != end;
       entry.increment(failure)) {
    std::error_code ignored;
    if (!entry->path().filename().string().starts_with('.'))
      fs::copy_file(entry->path(), own / "training" / entry->path().filename(), ignored);
  }
  return own;
}

void end_training(const fs::path& results, const std::string& id, const fs::path& own) {
  move(report::weights_folder(own, id), report::weights_folder(results, id));
  move(report::curve_file(own, id), report::curve_file(results, id));
  move(report::held_out_file(own, id), report::held_out_file(results, id));
  move(report::record_file(own, id), report::record_file(results, id));
  for (const fs::path& folder : folders_of(results, id)) {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
}

}  // namespace attnlab::cluster
