// Input files of jobs that apply the model of a Hugging Face folder to a table.
#pragma once

#include <filesystem>
#include <vector>

#include "tables/table_config.h"

namespace sartor::inference {

// Files of the folder that determine its results: JSON, text, chat template and safetensors, sorted by name.
std::vector<std::filesystem::path> model_files(const std::filesystem::path& folder);

// The files of the table in its order. Throws std::invalid_argument if there are none or one can be read only once.
std::vector<std::filesystem::path> source_files(const datasets::TableConfig& source);

}  // namespace sartor::inference
