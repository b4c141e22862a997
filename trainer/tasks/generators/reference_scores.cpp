#include "tasks/generators/reference_scores.h"

#include <exception>
#include <optional>
#include <utility>

#include "base/require.h"
#include "schema/log.h"
#include "storage/atomic_file.h"
#include "storage/hdf5_file.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;

constexpr const char* schema = "sartor.reference";
constexpr int64_t version = 1;

std::vector<double> read_part(const datasets::Hdf5File& file, const char* name, const datasets::StoredTexts& part) {
  const auto stored = file.list<double>(name);
  require(stored.rows() == part.rows(), "{} has {} rows, expected {}", stored.name(), stored.rows(), part.rows());
  return stored.read();
}

std::optional<ReferenceScores> read_scores(const fs::path& path, const std::string& key,
                                           const datasets::TokenizedTexts& data) {
  if (!fs::exists(path)) return {};
  try {
    const auto file = datasets::Hdf5File::open(path);
    file.require_schema(schema, version);
    if (file.string_attribute("key") != key) return {};
    return ReferenceScores{read_part(file, "/train", data.train), read_part(file, "/validation", data.validation),
                           read_part(file, "/test", data.test)};
  } catch (const std::exception& error) {
    log_warning("the log-probabilities of the reference model are computed again: {}", error.what());
    return {};
  }
}

void write_scores(const fs::path& path, const std::string& key, const ReferenceScores& scores) {
  datasets::AtomicFile atomic(path);
  auto file = datasets::Hdf5File::create(atomic.temporary());
  file.set_schema(schema, version);
  file.set_attribute("key", key);
  const std::pair<const char*, const std::vector<double>*> parts[] = {
      {"/train", &scores.train}, {"/validation", &scores.validation}, {"/test", &scores.test}};
  for (const auto& [name, values] : parts) file.create_list<double>(name, std::ssize(*values)).write(0, *values);
  file.close();
  atomic.commit();
}

}  // namespace

ReferenceScores reference_scores(const fs::path& path, const std::string& key, const datasets::TokenizedTexts& data,
                                 Collective& ranks, const std::function<ReferenceScores()>& make) {
  std::optional<ReferenceScores> found;
  if (ranks.first()) found = read_scores(path, key, data);
  if (ranks.sum({found ? 1.0 : 0.0})[0] == 0) {
    auto made = make();
    on_first(ranks, [&] {
      write_scores(path, key, made);
      return "";
    });
    return made;
  }
  const auto of_first = [&](const datasets::StoredTexts& part, std::vector<double> ReferenceScores::*values) {
    return ranks.sum(found ? (*found).*values : std::vector<double>(part.rows()));
  };
  return {of_first(data.train, &ReferenceScores::train), of_first(data.validation, &ReferenceScores::validation),
          of_first(data.test, &ReferenceScores::test)};
}

}  // namespace sartor
