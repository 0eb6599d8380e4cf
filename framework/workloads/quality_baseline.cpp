// The file: a header, then one record a token: the log-sum-exp as a double, k ids, k logits, the largest first. Logits
// are stored as they are, so that an arm that predicts the same bits has a KL of exactly 0.
#include "workloads/quality_baseline.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/crc.hpp>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include <attnlab/error.h>

#include "base/process_name.h"
#include "model/sampling.h"

namespace attnlab::experiment {
namespace {

namespace fs = std::filesystem;

constexpr char kMagic[8] = {'A', 'L', 'T', 'O', 'P', 'K', '\r', '\n'};
constexpr std::uint32_t kVersion = 1;
constexpr const char* kRemedy = "the baseline's trial has to be run again for a comparison";

struct Header {
  char magic[8];
  std::uint32_t version;  // a host of the other byte order reads another one
  std::uint32_t vocab;
  std::uint32_t kept;      // logits of a record
  std::uint32_t checksum;  // CRC-32 of all records
  std::uint64_t tokens;
  char text_hash[64];
};
static_assert(sizeof(Header) == 96, "the header has no gaps");

struct Record {
  double log_sum_exp = 0;
  std::vector<std::uint32_t> ids;  // [kept]
  std::vector<float> logits;       // [kept]

  explicit Record(std::uint32_t kept) : ids(kept), logits(kept) {}
  [[nodiscard]] std::size_t bytes() const { return sizeof(double) + ids.size() * (sizeof ids[0] + sizeof logits[0]); }
};

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using Stream = std::unique_ptr<std::FILE, Closer>;

// In double precision: a KL of two arms that hardly differ is far smaller than the rounding of floats.
double log_sum_exp(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  if (!std::isfinite(largest)) return largest;
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return largest + std::log(sum);
}

// Largest first, of equal ones the lowest id; what is no number comes last.
void select_largest(std::span<const float> logits, std::vector<std::uint32_t>& order, Record& record) {
  const auto rank = [&](std::uint32_t id) {
    return std::isnan(logits[id]) ? -std::numeric_limits<float>::infinity() : logits[id];
  };
  const auto is_before = [&](std::uint32_t a, std::uint32_t b) {
    return rank(a) != rank(b) ? rank(a) > rank(b) : a < b;
  };
  order.resize(logits.size());
  std::iota(order.begin(), order.end(), 0U);
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(record.ids.size());
  std::partial_sort(order.begin(), end, order.end(), is_before);
  std::copy(order.begin(), end, record.ids.begin());
  std::transform(order.begin(), end, record.logits.begin(), [&](std::uint32_t id) { return logits[id]; });
}

// One term of the sum; a probability of 0 adds nothing, whatever the other is.
double term(double log_p, double log_q) {
  return std::exp(log_p) == 0 ? 0 : std::exp(log_p) * (log_p - log_q);
}

double kl(const Record& baseline, std::span<const float> logits, double arm_log_sum_exp) {
  double sum = 0, inside_p = 0, inside_q = 0;
  for (std::size_t i = 0; i < baseline.ids.size(); ++i) {
    const double log_p = baseline.logits[i] - baseline.log_sum_exp;
    const double log_q = logits[baseline.ids[i]] - arm_log_sum_exp;
    sum += term(log_p, log_q);
    inside_p += std::exp(log_p);
    inside_q += std::exp(log_q);
  }
  if (baseline.ids.size() == logits.size()) return sum;
  // What is left of 1 is known to a few ulp of 1 only; below that it counts as nothing in the baseline, and as that
  // little in the arm: the sum stays a lower bound.
  constexpr double kLeast = 1e-12;
  const double outside_p = 1 - inside_p;
  const double outside_q = std::max(1 - inside_q, kLeast);
  return outside_p < kLeast ? sum : sum + outside_p * std::log(outside_p / outside_q);
}

[[noreturn]] void fail_writing(const fs::path& path) {
  throw Error(path.string(), fmt::format("cannot be written: {}", std::strerror(errno)),
              "the folder must be there, writable, and have room");
}

}  // namespace

struct BaselineWriter::File {
  fs::path path, temporary;
  Stream stream;
  Header header{};
  Record record;
  std::vector<std::uint32_t> order;
  boost::crc_32_type checksum;

  File(fs::path at, std::uint32_t kept)
      : path(std::move(at)),
        temporary(path.parent_path() / fmt::format(".{}.{}-0.tmp", path.filename().string(), process_name())),
        record(kept) {}

  void write(const void* from, std::size_t bytes) {
    if (std::fwrite(from, 1, bytes, stream.get()) != bytes) fail_writing(path);
  }
};

BaselineWriter::BaselineWriter(fs::path path, BaselineIdentity identity) {
  const auto kept = std::min<std::uint32_t>(identity.vocab, kMostKeptLogits);
  file_ = std::make_unique<File>(std::move(path), kept);
  Header& header = file_->header;
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kVersion;
  header.vocab = identity.vocab;
  header.kept = kept;
  ATTNLAB_CHECK(identity.text_hash.size() == sizeof header.text_hash, "a sha256 has 64 digits");
  std::memcpy(header.text_hash, identity.text_hash.data(), sizeof header.text_hash);
  file_->stream.reset(std::fopen(file_->temporary.c_str(), "wbe"));
  if (!file_->stream) fail_writing(file_->path);
  file_->write(&header, sizeof header);  // its place; what is counted is not known yet
}

BaselineWriter::~BaselineWriter() {
  std::error_code ignored;
  if (file_->stream) fs::remove(file_->temporary, ignored);
}

void BaselineWriter::add(std::span<const float> logits) {
  File& file = *file_;
  ATTNLAB_CHECK(logits.size() == file.header.vocab, "logits of the whole vocabulary");
  select_largest(logits, file.order, file.record);
  file.record.log_sum_exp = log_sum_exp(logits);
  const auto put = [&](const void* from, std::size_t bytes) {
    file.checksum.process_bytes(from, bytes);
    file.write(from, bytes);
  };
  put(&file.record.log_sum_exp, sizeof(double));
  put(file.record.ids.data(), file.record.ids.size() * sizeof(std::uint32_t));
  put(file.record.logits.data(), file.record.logits.size() * sizeof(float));
  ++file.header.tokens;
}

void BaselineWriter::keep() {
  File& file = *file_;
  file.header.checksum = file.checksum.checksum();
  std::FILE* stream = file.stream.get();
  if (std::fseek(stream, 0, SEEK_SET) != 0) fail_writing(file.path);
  file.write(&file.header, sizeof file.header);
  if (std::fflush(stream) != 0 || fsync(fileno(stream)) != 0) fail_writing(file.path);
  if (std::rename(file.temporary.c_str(), file.path.c_str()) != 0) fail_writing(file.path);
  file.stream.reset();
}

struct BaselineReader::File {
  fs::path path;
  Stream stream;
  Header header{};
  Record record{0};
  std::uint64_t read = 0;  // tokens
  boost::crc_32_type checksum;

  explicit File(fs::path at) : path(std::move(at)) {}

  [[noreturn]] void refuse(const std::string& what) const { throw Error(path.string(), what, kRemedy); }

  void take(void* to, std::size_t bytes) {
    if (std::fread(to, 1, bytes, stream.get()) != bytes) refuse("is damaged: it ends too early");
    checksum.process_bytes(to, bytes);
  }
};

BaselineReader::BaselineReader(const fs::path& path, const BaselineIdentity& identity) {
  file_ = std::make_unique<File>(path);
  File& file = *file_;
  std::error_code error;
  file.stream.reset(std::fopen(path.c_str(), "rbe"));
  if (!file.stream) file.refuse("the baseline's predictions are not there");
  Header& header = file.header;
  if (std::fread(&header, sizeof header, 1, file.stream.get()) != 1 ||
      std::memcmp(header.magic, kMagic, sizeof kMagic) != 0)
    file.refuse("is damaged: it holds no predictions of a baseline");
  if (header.version != kVersion) file.refuse(fmt::format("has version {}, not {}", header.version, kVersion));
  const BaselineIdentity theirs{header.vocab, std::string(header.text_hash, sizeof header.text_hash)};
  if (theirs != identity) file.refuse("the baseline's predictions are of another text, or of another vocabulary");
  if (header.kept == 0 || header.kept > header.vocab) file.refuse("is damaged: so many logits there are not");
  file.record = Record(header.kept);
  const std::uintmax_t size = fs::file_size(path, error);
  if (error || (size - sizeof header) % file.record.bytes() != 0 ||
      (size - sizeof header) / file.record.bytes() != header.tokens)
    file.refuse("is damaged: its size is not that of its tokens");
}

BaselineReader::~BaselineReader() = default;

Divergence BaselineReader::compare(std::span<const float> logits) {
  File& file = *file_;
  ATTNLAB_CHECK(logits.size() == file.header.vocab, "logits of the whole vocabulary");
  if (file.read == file.header.tokens) file.refuse("holds fewer tokens than are counted");
  Record& record = file.record;
  file.take(&record.log_sum_exp, sizeof(double));
  file.take(record.ids.data(), record.ids.size() * sizeof(std::uint32_t));
  file.take(record.logits.data(), record.logits.size() * sizeof(float));
  ++file.read;
  if (std::ranges::any_of(record.ids, [&](std::uint32_t id) { return id >= file.header.vocab; }))
    file.refuse("is damaged: it names a token that is not in the vocabulary");
  const bool is_same = static_cast<std::uint32_t>(model::argmax(logits)) == record.ids.front();
  const double own = log_sum_exp(logits);
  bool is_equal = own == record.log_sum_exp;
  for (std::size_t i = 0; i < record.ids.size(); ++i) is_equal = is_equal && logits[record.ids[i]] == record.logits[i];
  return {.kl = kl(record, logits, own), .same_top = is_same ? 1 : 0, .same_bits = is_equal ? 1 : 0};
}

void BaselineReader::finish() {
  if (file_->read != file_->header.tokens) file_->refuse("holds more tokens than are counted");
  if (file_->checksum.checksum() != file_->header.checksum) file_->refuse("is damaged: its checksum is wrong");
}

bool BaselineReader::is_exact() const noexcept {
  return file_->header.kept == file_->header.vocab;
}

}  // namespace attnlab::experiment
