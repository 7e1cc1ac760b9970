using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Images.Debian;
using Isthmus.Images.Oci;

namespace Isthmus.Images.Building;

/// <summary>The packages in an image, as SPDX 2.3 in JSON. The same packages always result in the same text.</summary>
internal static class BillOfMaterials
{
    // The escapes of the default encoder would turn the '+' of versions into \u002B.
    private static readonly JsonSerializerOptions Readable = new()
    {
        WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, NewLine = "\n"
    };

    internal static string Write(ProgramSource program, SourceState sources, IReadOnlyList<InstalledPackage> packages)
    {
        var items = new JsonArray();
        var own = Package("isthmus", "isthmus", program.Version, "Apache-2.0", $"pkg:generic/isthmus@{program.Version}");
        if (sources.Revision.Length > 0) own["sourceInfo"] = $"git commit {sources.Revision}";
        items.Add((JsonNode)own);
        foreach (var framework in program.Frameworks)
        {
            var (name, version) = (Path.GetFileName(Path.GetDirectoryName(framework)!), Path.GetFileName(framework));
            items.Add((JsonNode)Package($"dotnet-{name}", name, version, "MIT", $"pkg:generic/{name}@{version}"));
        }
        foreach (var (name, version) in Recorded(program.Directory, "runtimepack"))
            items.Add((JsonNode)Package($"dotnet-{name}", name, version, "MIT", $"pkg:nuget/{name}@{version}"));
        foreach (var (name, version) in Recorded(program.Directory, "package"))
            items.Add((JsonNode)Package($"nuget-{name}", name, version, "NOASSERTION", $"pkg:nuget/{name}@{version}"));
        foreach (var (name, version, license) in PagePackages(program.Directory))
            items.Add((JsonNode)Package($"npm-{name}", name, version, license, $"pkg:npm/{name}@{version}"));
        foreach (var package in packages.OrderBy(package => package.Name, StringComparer.Ordinal))
        {
            // A '+' in a package URL would be a space.
            var (name, version) = (Uri.EscapeDataString(package.Name), Uri.EscapeDataString(package.Version));
            items.Add((JsonNode)Package($"deb-{package.Name}", package.Name, package.Version, "NOASSERTION",
                $"pkg:deb/debian/{name}@{version}?arch={package.Architecture}&distro=debian-{PackageStore.ReleaseNumber}"));
        }
        var content = Digest.Of(ImageDocuments.Bytes(items));
        var document = new JsonObject
        {
            ["spdxVersion"] = "SPDX-2.3",
            ["dataLicense"] = "CC0-1.0",
            ["SPDXID"] = "SPDXRef-DOCUMENT",
            ["name"] = $"isthmus-{program.Version}",
            ["documentNamespace"] = $"https://isthmus.internal/spdx/isthmus-{program.Version}-{content.Hex}",
            ["creationInfo"] = new JsonObject
            {
                ["created"] = ImageDocuments.Time(sources.Time), ["creators"] = new JsonArray($"Tool: isthmus-{program.Version}")
            },
            ["documentDescribes"] = new JsonArray("SPDXRef-isthmus"),
            ["packages"] = items,
            ["relationships"] = new JsonArray([.. items.Skip(1).Select(item => (JsonNode)new JsonObject
            {
                ["spdxElementId"] = "SPDXRef-isthmus", ["relationshipType"] = "DEPENDS_ON", ["relatedSpdxElement"] = item!["SPDXID"]!.ToString(),
            })]),
        };
        return document.ToJsonString(Readable) + "\n";
    }

    private static JsonObject Package(string id, string name, string version, string license, string url) => new()
    {
        ["SPDXID"] = $"SPDXRef-{new string([.. id.Select(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '-' ? letter : '-')])}",
        ["name"] = name,
        ["versionInfo"] = version,
        ["downloadLocation"] = "NOASSERTION",
        ["filesAnalyzed"] = false,
        ["licenseConcluded"] = "NOASSERTION",
        ["licenseDeclared"] = license,
        ["copyrightText"] = "NOASSERTION",
        ["externalRefs"] = new JsonArray(new JsonObject { ["referenceCategory"] = "PACKAGE-MANAGER", ["referenceType"] = "purl", ["referenceLocator"] = url }),
    };

    /// <summary>The npm packages in the page of <c>isthmus console</c>, which <c>tools/console/build</c> recorded.</summary>
    private static IEnumerable<(string Name, string Version, string License)> PagePackages(string directory)
    {
        var file = Path.Combine(directory, "console-packages.json");
        if (!File.Exists(file)) return [];
        return (JsonNode.Parse(File.ReadAllText(file)) as JsonArray ?? [])
            .Select(package => (package!["name"]!.ToString(), package["version"]!.ToString(), package["license"]!.ToString()));
    }

    /// <summary>What the build recorded: NuGet packages, and the parts of .NET that a native program contains ("runtimepack").</summary>
    private static List<(string Name, string Version)> Recorded(string directory, string type)
    {
        var file = Path.Combine(directory, "isthmus.deps.json");
        if (!File.Exists(file)) return [];
        var libraries = JsonNode.Parse(File.ReadAllText(file))?["libraries"] as JsonObject ?? [];
        return [.. libraries.Where(pair => pair.Value?["type"]?.ToString() == type).Select(pair => pair.Key.Split('/')).Where(parts => parts.Length == 2)
            .Select(parts => (parts[0].StartsWith("runtimepack.", StringComparison.Ordinal) ? parts[0]["runtimepack.".Length..] : parts[0], parts[1]))
            .OrderBy(pair => pair.Item1, StringComparer.Ordinal)];
    }
}
