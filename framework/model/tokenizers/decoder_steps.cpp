// See the header.
#include "model/tokenizers/decoder_steps.h"

#include <charconv>
#include <optional>
#include <utility>

#include "model/tokenizers/bytelevel.h"

namespace attnlab::model::tokenizer_parts {
namespace {

// "<0x0A>" is the byte 10.
std::optional<char> byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  unsigned char byte = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return static_cast<char>(byte);
}

std::string with_replaced(std::string_view text, std::string_view what, std::string_view content) {
  std::string replaced;
  for (std::size_t at; (at = text.find(what)) != text.npos; text.remove_prefix(at + what.size())) {
    replaced += text.substr(0, at);
    replaced += content;
  }
  return replaced += text;
}

}  // namespace

void Gather::push(Fragment fragment, std::vector<Fragment>& out) {
  if (fragment.starts_token) finish(out);
  open_ = true;
  token_ += fragment.text;
}

void Gather::finish(std::vector<Fragment>& out) {
  if (open_) out.push_back({std::exchange(token_, {}), true});
  open_ = false;
}

void Join::push(Fragment fragment, std::vector<Fragment>& out) {
  if (!std::exchange(first_, false)) out.push_back({" ", true});
  out.push_back(std::move(fragment));
}

void ByteLevelDecode::push(Fragment fragment, std::vector<Fragment>& out) {
  const std::optional<std::string> bytes = from_byte_characters(fragment.text);
  out.push_back({utf8_.push(bytes ? *bytes : fragment.text), std::exchange(first_, false)});
}

void ByteLevelDecode::finish(std::vector<Fragment>& out) {
  out.push_back({utf8_.finish(), first_});
}

void ReplaceDecode::push(Fragment fragment, std::vector<Fragment>& out) {
  out.push_back({replace_all(finder_, fragment.text, content_), true});
}

void ByteFallbackDecode::push(Fragment fragment, std::vector<Fragment>& out) {
  if (const std::optional<char> byte = byte_of(fragment.text)) {
    run_ += *byte;
    return;
  }
  finish(out);
  out.push_back(std::move(fragment));
}

void ByteFallbackDecode::finish(std::vector<Fragment>& out) {
  const std::string run = std::exchange(run_, {});
  if (run.empty()) return;
  if (!first_invalid_utf8(run)) {
    out.push_back({run, true});
  } else {
    for (std::size_t i = 0; i < run.size(); ++i) out.push_back({std::string(kReplacementCharacter), true});
  }
}

void FuseDecode::push(Fragment fragment, std::vector<Fragment>& out) {
  out.push_back({std::move(fragment.text), std::exchange(first_, false)});
}

void StripDecode::push(Fragment fragment, std::vector<Fragment>& out) {
  if (fragment.starts_token) {
    held_ = 0;  // the previous token ended with them
    to_strip_ = start_;
  }
  std::string kept;
  std::string_view rest = fragment.text;
  while (!rest.empty()) {
    const std::string_view character = rest.substr(0, static_cast<std::size_t>(first_character(rest).bytes));
    rest.remove_prefix(character.size());
    if (character != content_) {
      to_strip_ = 0;
      for (; held_ > 0; --held_) kept += content_;
      kept += character;
    } else if (to_strip_ > 0) {
      --to_strip_;
    } else if (held_ < stop_) {
      ++held_;
    } else {
      kept += content_;  // the oldest of those held back: too far from the end to be dropped
    }
  }
  out.push_back({std::move(kept), fragment.starts_token});
}

void MetaspaceDecode::push(Fragment fragment, std::vector<Fragment>& out) {
  const bool drop = std::exchange(first_, false) && prepended_;
  out.push_back({with_replaced(fragment.text, replacement_, drop ? "" : " "), true});
}

}  // namespace attnlab::model::tokenizer_parts
