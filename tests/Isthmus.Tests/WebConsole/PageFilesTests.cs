using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.WebConsole;

/// <summary>The page that is committed is the one that <c>tools/console/build</c> made of its sources.</summary>
public sealed class PageFilesTests
{
    private const int LargestBundle = 600_000;

    [Fact]
    public void The_page_was_built_from_these_sources()
    {
        var recorded = File.ReadAllLines(Repository.At("tools/console/checksums")).Select(line => line.Split("  "))
            .ToDictionary(parts => parts[1], parts => parts[0]);
        var files = ((string[])["tools/console/src", "src/Isthmus.WebConsole/Web"]).SelectMany(folder => Directory.EnumerateFiles(Repository.At(folder)))
            .Select(path => Path.GetRelativePath(Repository.Root, path))
            .Concat(["tools/console/build", "tools/console/package.json", "tools/console/package-lock.json"]);
        Assert.Equal(recorded.Keys.Order(StringComparer.Ordinal), files.Order(StringComparer.Ordinal));
        var changed = recorded.Where(file => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(Repository.At(file.Key)))) != file.Value)
            .Select(file => file.Key);
        Assert.True(!changed.Any(), $"changed since tools/console/build: {string.Join(", ", changed)}");
    }

    [Fact]
    public void The_page_is_small_and_the_licences_of_its_packages_are_listed()
    {
        Assert.InRange(new FileInfo(Repository.At("src/Isthmus.WebConsole/Web/console.js")).Length, 1, LargestBundle);
        var used = ((JsonObject)JsonNode.Parse(File.ReadAllText(Repository.At("tools/console/package.json")))!["dependencies"]!)
            .Select(package => $"{package.Key} {package.Value}");
        var listed = ((JsonArray)JsonNode.Parse(File.ReadAllText(Repository.At("src/Isthmus.WebConsole/Web/console-packages.json")))!)
            .Select(package => $"{package!["name"]} {package["version"]}").ToList();
        Assert.Equal(used, listed);
        var licenses = File.ReadAllText(Repository.At("src/Isthmus.WebConsole/Web/licenses.txt"));
        Assert.All(listed, package => Assert.Contains($"{package}\n\n", licenses, StringComparison.Ordinal));
        // npm writes where it downloaded packages from, unless it is told not to.
        Assert.DoesNotContain("\"resolved\"", File.ReadAllText(Repository.At("tools/console/package-lock.json")), StringComparison.Ordinal);
    }
}
