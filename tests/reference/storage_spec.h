// Storages of this build's plugins in the short words of tests, and the rows that come of them.
#pragma once

#include <memory>
#include <string>

#include "reference/plugins.h"
#include "rows/row_storage.h"

namespace attnlab {

struct KiviFormat {
  int bits = 2;
  int group = 32;
  int residual = 128;
  bool operator==(const KiviFormat&) const = default;
};

struct StorageSpec {
  std::string keys = "f32";
  std::string values = "f32";
  int page = 0;
  KiviFormat kivi = {};  // of kivi

  [[nodiscard]] bool is_kivi() const { return keys == "kivi"; }
  [[nodiscard]] std::string text() const {
    std::string text = keys == values ? keys : "k:" + keys + ",v:" + values;
    if (is_kivi())
      text += ":" + std::to_string(kivi.bits) + ",group:" + std::to_string(kivi.group) +
              ",residual:" + std::to_string(kivi.residual);
    return page == 0 ? text : text + ",page:" + std::to_string(page);
  }
};

/// With options of its own, for both sides.
inline RowStorage row_storage(const std::string& keys, const std::string& values, const OptionValues& options,
                              int page) {
  const Registry& registry = reference::plugins();
  const auto made = [&](const std::string& id) {
    const Descriptor& descriptor = registry.get(Kind::storage, id, "");
    const OptionValues own = descriptor.options.empty() ? OptionValues() : options;
    return DeclaredStorage{registry.storage(id, own, {}), registry.traits(descriptor, own)};
  };
  return {made(keys), made(values), page};
}

inline RowStorage row_storage(const StorageSpec& spec) {
  return row_storage(spec.keys, spec.values,
                     {{"bits", std::to_string(spec.kivi.bits)},
                      {"group", std::int64_t{spec.kivi.group}},
                      {"residual", std::int64_t{spec.kivi.residual}}},
                     spec.page);
}
inline std::unique_ptr<KvRows> make_rows(const StorageSpec& spec, const KvShape& shape, int sequences, int capacity) {
  return row_storage(spec).make_rows(shape, sequences, capacity);
}
inline double row_bytes(const StorageSpec& spec, const KvShape& shape) {
  return row_storage(spec).row_bytes(shape);
}
inline double list_bytes(const StorageSpec& spec, const KvShape& shape, int rows) {
  return row_storage(spec).list_bytes(shape, rows);
}

}  // namespace attnlab
