// What the baseline arm predicts, token by token, kept so that every other arm can be compared with it token by token:
// of each counted token the k largest logits with their ids, and the log-sum-exp of all. Streamed: never a file of
// vocabulary x tokens. The file lies beside the trial that wrote it, trials/<id>.topk.
//
// KL(baseline || arm) of a token is exact where k is the whole vocabulary. Else what is outside the baseline's top k
// is one bucket for both, so the figure is a lower bound (the log-sum inequality), short of the difference within the
// bucket.
// Not here: which trial is whose baseline, and that it runs first (the runner).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include <attnlab/api.h>

#include "model/tokenizers/tokenizer.h"

namespace attnlab::experiment {

/// Where a perplexity trial keeps, or finds, the baseline's predictions: the same workload, seed and text.
///   baseline arm: {trials / (its own trial id + ".topk"), Role::written}
///   other arms:   {trials / (the baseline's trial id + ".topk"), Role::read}, once the baseline's trial has ended
///   neither:      {} where the baseline was refused, or has no trial
/// A file that is missing, damaged or of another text is no error: the trial then has no KL, and a note that says why.
struct BaselineFile {
  enum class Role { none, written, read };

  std::filesystem::path path;
  Role role = Role::none;
};

/// Logits that are kept of a token.
inline constexpr int kMostKeptLogits = 256;

/// What a file must have in common with the trial that reads it.
struct BaselineIdentity {
  std::uint32_t vocab = 0;
  std::string text_hash;  // sha256 of the windows' token ids and of what is counted of them

  friend bool operator==(const BaselineIdentity&, const BaselineIdentity&) = default;
};

/// The file appears under its path, whole and synced, at keep(); without keep() no file remains.
class ATTNLAB_API BaselineWriter {
 public:
  /// Error where the file cannot be made.
  BaselineWriter(std::filesystem::path path, BaselineIdentity identity);
  ~BaselineWriter();
  BaselineWriter(const BaselineWriter&) = delete;
  BaselineWriter& operator=(const BaselineWriter&) = delete;

  /// Logits [vocab] of the next counted token.
  void add(std::span<const float> logits);
  /// Error where the disk is full, or the folder has gone.
  void keep();

 private:
  struct File;
  std::unique_ptr<File> file_;
};

/// Of one token, or summed over several.
struct Divergence {
  double kl = 0;               // KL(baseline || arm), nats
  std::int64_t same_top = 0;   // tokens whose most likely successor is the same
  std::int64_t same_bits = 0;  // tokens whose kept logits and log-sum-exp are the same to the bit
};

class ATTNLAB_API BaselineReader {
 public:
  /// Error where the file is missing, damaged, or of something else than `identity`.
  BaselineReader(const std::filesystem::path& path, const BaselineIdentity& identity);
  ~BaselineReader();
  BaselineReader(const BaselineReader&) = delete;
  BaselineReader& operator=(const BaselineReader&) = delete;

  /// The arm's logits [vocab] of the next counted token against the baseline's. Error where the file ends too early.
  [[nodiscard]] Divergence compare(std::span<const float> logits);
  /// Error where the file holds more, or not what was written.
  void finish();
  /// The KL is the whole one, not a lower bound.
  [[nodiscard]] bool is_exact() const noexcept;

 private:
  struct File;
  std::unique_ptr<File> file_;
};

}  // namespace attnlab::experiment
