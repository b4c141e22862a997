// task: prepare — a raw table of ratings in, one prepared HDF5 file out.
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
    field("source", source, "Table of ratings.");
    field("cleaning", cleaning, "What is mended.");
    field("split", split, "Which ratings are held out.");
    field.required("output", output, file_path(), "Prepared HDF5 file to write.");
    field("rejects", rejects, file_path(),
          "TSV file for rows that are unfit, with the reason; beside the output, as OUTPUT.rejects.tsv, if absent.");
  }
  std::string rejects_path() const { return rejects.value_or(output + ".rejects.tsv"); }
  std::vector<std::filesystem::path> reads() const { return datasets::files_to_read(source.table); }
  std::vector<Output> writes() const { return {{output}, {rejects_path()}}; }
};

void prepare(const PrepareConfig& config, Runtime& runtime);

}  // namespace sartor
