// Everything a shared object says about itself: two exported data symbols, no functions.
//   attnlab_stamp   plain bytes, which the loader reads from the file before it opens it
//   attnlab_plugin  the table of components
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include <attnlab/attention_variant.h>
#include <attnlab/cache_policy.h>
#include <attnlab/features.h>
#include <attnlab/fingerprint.h>
#include <attnlab/options.h>
#include <attnlab/position_scheme.h>
#include <attnlab/storage.h>

namespace attnlab {

/// Only char arrays and integers: identical bytes in the file and in memory.
struct Stamp {
  char magic[16];
  std::uint32_t size;        // sizeof(Stamp), so that the stamp itself can grow
  char sdk_version[16];      // for people
  char sdk_fingerprint[20];  // digest of the SDK headers, for the loader
  char toolchain[64];
  char isa[24];
};

/// One component of a plugin, made by `component<Class, Options>()`.
template <class Interface>
struct Component {
  std::string_view id;         // YAML spelling, the name of the file and of the CMake target
  std::string_view summary;    // one sentence, shown by `attnlab list`
  std::string_view reference;  // paper or page the method comes from
  Traits (*traits)(const OptionValues&) = nullptr;
  OptionSchema (*options)() = nullptr;
  void (*check)(const OptionValues&, Problems&) = nullptr;
  std::unique_ptr<Interface> (*create)(const OptionValues&, const CreateContext&) = nullptr;
};

struct Plugin {
  std::string_view name;
  std::string_view version;
  std::span<const Component<AttentionVariant>> attention = {};
  std::span<const Component<PositionScheme>> position = {};
  std::span<const Component<CachePolicy>> cache = {};
  std::span<const Component<Storage>> storage = {};
};

struct ComponentInfo {
  std::string_view id;
  std::string_view summary;
  std::string_view reference;
};

/// `Class` has a constructor (const Options&, const CreateContext&) and a static `Traits traits(const Options&)`.
template <class Interface, class Class, class Options = NoOptions>
constexpr Component<Interface> component(ComponentInfo info) {
  return {.id = info.id,
          .summary = info.summary,
          .reference = info.reference,
          .traits = [](const OptionValues& values) { return Class::traits(decode_options<Options>(values)); },
          .options = &option_schema<Options>,
          .check = &check_options<Options>,
          .create = [](const OptionValues& values, const CreateContext& context) -> std::unique_ptr<Interface> {
            return std::make_unique<Class>(decode_options<Options>(values), context);
          }};
}

consteval Stamp make_stamp() {
  Stamp stamp{};
  const auto fill = [](char* to, std::size_t room, std::string_view text) {
    for (std::size_t i = 0; i < text.size() && i + 1 < room; ++i) to[i] = text[i];
  };
  fill(stamp.magic, sizeof stamp.magic, "attnlab-plugin");
  stamp.magic[15] = '\x01';  // so that the text alone, in some message, is not taken for a stamp
  stamp.size = sizeof(Stamp);
  fill(stamp.sdk_version, sizeof stamp.sdk_version, ATTNLAB_SDK_VERSION);
  fill(stamp.sdk_fingerprint, sizeof stamp.sdk_fingerprint, ATTNLAB_SDK_FINGERPRINT);
  fill(stamp.toolchain, sizeof stamp.toolchain, ATTNLAB_TOOLCHAIN);
  fill(stamp.isa, sizeof stamp.isa, ATTNLAB_ISA);
  return stamp;
}

}  // namespace attnlab

/// Once in a plugin's source: ATTNLAB_PLUGIN(.name = "alibi", .version = "1.0", .position = kPosition);
#define ATTNLAB_PLUGIN(...)                                                                                \
  extern "C" __attribute__((visibility("default"), used)) constinit const ::attnlab::Stamp attnlab_stamp = \
      ::attnlab::make_stamp();                                                                             \
  extern "C"                                                                                               \
      __attribute__((visibility("default"), used)) constinit const ::attnlab::Plugin attnlab_plugin = {__VA_ARGS__}
