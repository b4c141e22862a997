// task: prepare. Converts a table of ratings to a prepared HDF5 file.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "interactions/collect.h"
#include "interactions/split.h"
#include "runtime/runtime.h"
#include "tables/presets.h"

namespace sartor {

struct PrepareConfig : RuntimeConfig {
  datasets::RatingsConfig source;
  datasets::CleaningConfig cleaning;
  datasets::SplitConfig split;
  std::string output;
  std::optional<std::string> rejects;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field("source", source, "Table of ratings to read.");
    field("cleaning", cleaning, "How to clean the ratings.");
    field("split", split, "How to split the ratings into training, validation and test.");
    field.required("output", output, file_path(), "Prepared HDF5 file to write.");
    field("rejects", rejects, file_path(),
          "TSV file to write rejected rows to, with the reason for each; OUTPUT.rejects.tsv if absent.");
  }
  std::string rejects_path() const { return rejects.value_or(output + ".rejects.tsv"); }
  std::vector<std::filesystem::path> reads() const { return datasets::files_to_read(source.table); }
  std::vector<Output> writes() const { return {{output}, {rejects_path()}}; }
};

void prepare(const PrepareConfig& config, Runtime& runtime);

}  // namespace sartor
