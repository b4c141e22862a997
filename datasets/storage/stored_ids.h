// Lists of ids in HDF5 files.
#pragma once

#include <string>

#include "storage/hdf5_file.h"
#include "storage/id_map.h"

namespace sartor::datasets {

// Writes the ids to a new dataset, in the order of their indices.
void write_ids(Hdf5File& file, const std::string& name, const IdMap& ids);

// Throws std::invalid_argument if an id is repeated. `what` names the ids in messages, e.g. "users".
IdMap read_ids(const Hdf5File& file, const std::string& name, const std::string& what);

}  // namespace sartor::datasets
