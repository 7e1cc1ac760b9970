using System.Collections.Immutable;
using Google.Protobuf;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Wire.Xds;

/// <summary>A client's route tables whose virtual hosts are resources of their own (VHDS), put together. Not thread-safe.</summary>
internal sealed class HostTables
{
    /// <summary>The most bytes of versions in a request, of which servers take 4 MiB, and what each takes besides its name and text.</summary>
    private const long MostVersions = 3 << 20, VersionOverhead = 12;

    private readonly Dictionary<string, Table> _tables = new(StringComparer.Ordinal);

    public bool IsEmpty => _tables.Count == 0;

    /// <summary>How many virtual hosts they have.</summary>
    public int Hosts => _tables.Values.Sum(table => table.Hosts.Count);

    /// <summary>The versions of the virtual hosts, by the names of their resources.</summary>
    public IEnumerable<KeyValuePair<string, string>> Versions =>
        from table in _tables
        from host in table.Value.Hosts
        select KeyValuePair.Create(VirtualHosts.NameOf(table.Key, host.Part.Name), host.Version);

    /// <param name="Part">By the name that it has in its table.</param>
    /// <param name="Version">That of its resource.</param>
    private readonly record struct Host(XdsPart Part, string Version);

    private sealed class Table
    {
        private readonly Dictionary<string, int> _places = new(StringComparer.Ordinal);

        public required XdsParts Head { get; set; }

        /// <summary>In the order in which they came first.</summary>
        public List<Host> Hosts { get; } = [];

        /// <summary>The first of them have come.</summary>
        public bool IsComplete { get; set; }

        /// <summary>It was refused as it is now.</summary>
        public bool IsRefused { get; set; }

        public void Put(XdsPart part, string version)
        {
            if (_places.TryGetValue(part.Name, out var place)) Hosts[place] = new(part, version);
            else
            {
                _places[part.Name] = Hosts.Count;
                Hosts.Add(new(part, version));
            }
        }

        public void Clear()
        {
            Hosts.Clear();
            _places.Clear();
            IsComplete = IsRefused = false;
        }

        public void Remove(IReadOnlySet<string> names)
        {
            if (Hosts.RemoveAll(host => names.Contains(host.Part.Name)) == 0) return;
            _places.Clear();
            for (var place = 0; place < Hosts.Count; place++) _places[Hosts[place].Part.Name] = place;
        }
    }

    /// <summary>A table has come.</summary>
    /// <returns>The whole table; null: it has none of its virtual hosts yet.</returns>
    /// <exception cref="InvalidProtocolBufferException">It is malformed.</exception>
    /// <exception cref="InvalidDataException">Its virtual hosts come from elsewhere.</exception>
    public XdsResource? Put(XdsResource resource)
    {
        var parts = resource.Parts!;
        var head = RouteConfiguration.Parser.ParseFrom(parts.Head);
        if (head.Vhds is not { } vhds)
        {
            _tables.Remove(resource.Name);
            return resource;
        }
        if (vhds.ConfigSource?.ConfigSourceSpecifierCase != ConfigSource.ConfigSourceSpecifierOneofCase.Ads)
            throw new InvalidDataException("vhds: virtual hosts can come from ads only");
        if (!parts.Items.IsEmpty) throw new InvalidDataException("vhds: a table with virtual hosts of its own cannot have others");
        head.Vhds = null;
        parts = parts with { Head = head.ToByteString() };
        if (!_tables.TryGetValue(resource.Name, out var table)) _tables[resource.Name] = table = new() { Head = parts };
        table.Head = parts;
        return table.IsComplete ? Whole(resource.Name, resource.Version, table) : null;
    }

    public void Remove(string name) => _tables.Remove(name);

    /// <summary>Takes virtual hosts that changed.</summary>
    /// <param name="refused">Gets what cannot be read.</param>
    /// <returns>The tables that are others now, whole.</returns>
    public List<XdsResource> Apply(DeltaDiscoveryResponse response, List<XdsRejection> refused)
    {
        var touched = new HashSet<string>(StringComparer.Ordinal);
        foreach (var resource in response.Resources)
        {
            var name = VirtualHosts.TableIn(resource.Name);
            // Drops what was in flight when the client unsubscribed.
            if (!_tables.TryGetValue(name, out var table)) continue;
            try
            {
                table.Put(PartOf(resource, name), resource.Version);
                touched.Add(name);
            }
            catch (Exception e) when (e is InvalidProtocolBufferException or InvalidDataException)
            {
                refused.Add(new(resource.Name, e.Message));
            }
        }
        foreach (var gone in response.RemovedResources.GroupBy(VirtualHosts.TableIn).Where(gone => _tables.ContainsKey(gone.Key)))
        {
            _tables[gone.Key].Remove(gone.Select(name => name[(gone.Key.Length + 1)..]).ToHashSet(StringComparer.Ordinal));
            touched.Add(gone.Key);
        }
        foreach (var name in touched) _tables[name].IsComplete = true;
        return [.. touched.Select(name => Whole(name, response.SystemVersionInfo, _tables[name]))];
    }

    /// <summary>Tables were accepted, or refused.</summary>
    public void Settle(IEnumerable<XdsResource> tables, IReadOnlySet<string> refused)
    {
        foreach (var table in tables)
            if (_tables.TryGetValue(table.Name, out var known)) known.IsRefused = refused.Contains(table.Name);
    }

    /// <summary>A stream begins. The virtual hosts of refused tables come again, so that the server learns of the refusal here, too, and those of tables
    /// that are too large to tell their versions.</summary>
    public void Reopen()
    {
        var room = MostVersions;
        foreach (var (name, table) in _tables)
        {
            var size = table.Hosts.Sum(host => (long)name.Length + host.Part.Name.Length + host.Version.Length + VersionOverhead);
            if (table.IsRefused || size > room) table.Clear();
            else room -= size;
        }
    }

    private static XdsPart PartOf(Resource resource, string table)
    {
        if (resource.Resource_ is null) throw new InvalidDataException("resource without a body");
        if (resource.Resource_.TypeUrl != TypeUrls.VirtualHost)
            throw new InvalidDataException($"resource of type {resource.Resource_.TypeUrl} in a response of type {TypeUrls.VirtualHost}");
        var name = resource.Name[(table.Length + 1)..];
        var part = XdsPart.Read(resource.Resource_.Value);
        return part.Name == resource.Name ? new(name, part.Named(name)) : new(name, part.Bytes);
    }

    private static XdsResource Whole(string name, string version, Table table) =>
        new(name, version, TypeUrls.Route, table.Head with { Items = [.. table.Hosts.Select(host => host.Part)] });
}
