-- Indexes in the order of pages, as a script names them.
--
-- Ids that begin with @ are those of entities, and no query asks for both: each half has indexes of
-- its own, so that no page has to read past the other.

local AT = string.byte('@')

local function indexes_of(id) return prefix .. (string.byte(id) == AT and 'x:@' or 'x:') end
