#include "storage/stored_ids.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/require.h"

namespace sartor::datasets {
namespace {

constexpr int64_t slab = int64_t(1) << 16;  // strings per access

}  // namespace

void write_ids(Hdf5File& file, const std::string& name, const IdMap& ids) {
  auto strings = file.create_strings(name, ids.size());
  std::vector<std::string_view> some;
  for (int64_t first = 0; first < ids.size(); first += slab) {
    some.resize(std::min(slab, ids.size() - first));
    for (size_t i = 0; i < some.size(); i++) some[i] = ids[first + i];
    strings.write(first, some);
  }
}

IdMap read_ids(const Hdf5File& file, const std::string& name, const std::string& what) {
  const auto strings = file.strings(name);
  IdMap ids(what);
  for (int64_t first = 0; first < strings.rows(); first += slab) {
    for (const auto& id : strings.read(first, std::min(slab, strings.rows() - first))) {
      const int64_t number = ids.size(), found = ids.insert(id);
      require(found == number, "{}: \"{}\" occurs at {} and {}", strings.name(), id, found, number);
    }
  }
  return ids;
}

}  // namespace sartor::datasets
