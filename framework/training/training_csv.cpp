#include "training/training_csv.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "report/read/text_file.h"

namespace attnlab::training {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCsvHeader = "step,loss,gradient_norm,learning_rate,tokens,seconds\n";

[[noreturn]] void fail_csv(const fs::path& path, int code) {
  throw Error(path.string(), "cannot be written: " + std::generic_category().message(code),
              code == ENOSPC || code == EDQUOT ? "free some space there, then --resume" : "");
}

int open_csv(const fs::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | flags, 0666);
  if (descriptor < 0) fail_csv(path, errno);
  return descriptor;
}

// What the first `bytes` of the file are, as far as it matters: they begin with the header and end with a row.
bool ends_with_a_row(const fs::path& path, std::uintmax_t bytes) {
  if (bytes < kCsvHeader.size()) return false;
  std::ifstream file(path, std::ios::binary);
  std::string header(kCsvHeader.size(), '\0');
  file.read(header.data(), static_cast<std::streamsize>(header.size()));
  file.seekg(static_cast<std::streamoff>(bytes - 1));
  return file.get() == '\n' && header == kCsvHeader;
}

}  // namespace

void to_json(nlohmann::json& json, const EvaluationRow& row) {
  json = {row.step, row.loss, row.accuracy};
}

void from_json(const nlohmann::json& json, EvaluationRow& row) {
  row = {json.at(0), json.at(1), json.at(2)};
}

void write_evaluations(const fs::path& path, const std::vector<EvaluationRow>& rows) {
  std::string text = "step,loss,accuracy\n";
  for (const EvaluationRow& row : rows) text += fmt::format("{},{},{}\n", row.step, row.loss, row.accuracy);
  report::write_atomically(path, text);
}

TrainingCsv::TrainingCsv(fs::path path, int descriptor, std::uintmax_t bytes)
    : path_(std::move(path)), descriptor_(descriptor), bytes_(bytes) {}

TrainingCsv::TrainingCsv(TrainingCsv&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), bytes_(other.bytes_) {}

TrainingCsv& TrainingCsv::operator=(TrainingCsv&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

TrainingCsv::~TrainingCsv() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

TrainingCsv TrainingCsv::begin(const fs::path& path) {
  TrainingCsv csv(path, open_csv(path, O_CREAT | O_TRUNC), 0);
  csv.write(kCsvHeader);
  return csv;
}

TrainingCsv TrainingCsv::resume(const fs::path& path, std::uintmax_t bytes) {
  TrainingCsv csv(path, open_csv(path, 0), bytes);
  if (!ends_with_a_row(path, bytes))
    throw Error(path.string(), "is not the file that the kept state continues",
                "put the file back, or begin anew without --resume");
  if (::ftruncate(csv.descriptor_, static_cast<off_t>(bytes)) != 0) fail_csv(path, errno);
  return csv;
}

void TrainingCsv::write(std::string_view text) {
  const std::size_t whole = text.size();
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_csv(path_, errno);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  bytes_ += whole;
}

void TrainingCsv::add(const TrainingRow& row) {
  write(fmt::format("{},{},{},{},{},{:.6f}\n", row.step, row.loss, row.gradient_norm, row.learning_rate, row.tokens,
                    row.seconds));
}

std::uintmax_t TrainingCsv::sync() {
  if (::fdatasync(descriptor_) != 0) fail_csv(path_, errno);
  return bytes_;
}

}  // namespace attnlab::training
