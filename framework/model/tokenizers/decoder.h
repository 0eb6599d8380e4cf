// The "decoder" of a tokenizer.json: tokens' text back to the text they came from. Written as a stream of steps that
// hold back no more than they must, so that decoding all ids at once and one at a time is the same code.
// A token travels in fragments, since steps such as Fuse make one endless token of all of them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizers/json.h"
#include "model/tokenizers/pattern.h"

namespace attnlab::model::tokenizer_parts {

struct Fragment {
  std::string text;
  bool starts_token;  // else it goes on where the previous fragment ended
};

/// One step of one decoding: may hold text back until later fragments decide it.
class DecodeStep {
 public:
  virtual ~DecodeStep() = default;
  [[nodiscard]] virtual std::unique_ptr<DecodeStep> fresh() const = 0;  // the same step, nothing held back
  virtual void push(Fragment fragment, std::vector<Fragment>& out) = 0;
  virtual void finish(std::vector<Fragment>&) {}  // no fragment follows: hand out what is held back
};

/// One decoding under way. Tokens and what comes out are UTF-8.
class Decoding {
 public:
  explicit Decoding(std::vector<std::unique_ptr<DecodeStep>> steps) : steps_(std::move(steps)) {}
  std::string push(std::string_view token);
  std::string finish();

 private:
  std::string run(std::vector<Fragment> fragments, std::size_t first_step);

  std::vector<std::unique_ptr<DecodeStep>> steps_;
};

/// Immutable; any number of threads may start decodings. A decoding must not outlive it.
class Decoder {
 public:
  /// Without a decoder in the file: tokens with a space between them.
  Decoder();
  /// Throws attnlab::Error for a kind that is not supported.
  explicit Decoder(const JsonNode& node);
  [[nodiscard]] Decoding start() const;

 private:
  void add(const JsonNode& node);
  void add_whole_token_step(std::unique_ptr<DecodeStep> step);

  std::vector<std::unique_ptr<Pattern>> patterns_;  // of the Replace steps
  std::vector<std::unique_ptr<DecodeStep>> steps_;  // never pushed to: start() takes fresh ones
  bool fragments_ = false;                          // the last step hands out tokens in more than one fragment
};

}  // namespace attnlab::model::tokenizer_parts
