// Ids in HDF5 files.
#pragma once

#include <string>

#include "storage/hdf5_file.h"
#include "storage/id_map.h"

namespace sartor::datasets {

// A new list of strings, in the order of their numbers.
void write_ids(Hdf5File& file, const std::string& name, const IdMap& ids);

// Throws std::invalid_argument if a string stands there twice. `what` they are is said in messages: "users".
IdMap read_ids(const Hdf5File& file, const std::string& name, const std::string& what);

}  // namespace sartor::datasets
