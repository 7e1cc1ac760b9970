using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Isthmus.Tests.Architecture;

/// <summary>What restores make of known vulnerabilities, with a feed that has some.</summary>
public sealed class AuditTests : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-audit-").FullName;
    private readonly WebApplication _feed;
    private string _address = "";

    public AuditTests()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        _feed = builder.Build();
        _feed.Run(context => context.Response.WriteAsync(context.Request.Path.Value switch
        {
            "/index.json" => $$"""{"version": "3.0.0", "resources": [{"@id": "{{_address}}/pages.json", "@type": "VulnerabilityInfo/6.7.0"}]}""",
            "/pages.json" => $$"""[{"@name": "base", "@id": "{{_address}}/base.json", "@updated": "2026-01-01T00:00:00Z"}]""",
            _ => """{"yamldotnet": [{"url": "https://example.com/report", "severity": 2, "versions": "(, 999.0.0)"}]}""",
        }));
    }

    public async ValueTask InitializeAsync()
    {
        await _feed.StartAsync();
        _address = _feed.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        foreach (var file in (string[])["Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props"]) File.Copy(Repository.At(file), Path.Combine(_directory, file));
        File.WriteAllText(Path.Combine(_directory, "p.csproj"), """<Project Sdk="Microsoft.NET.Sdk"><ItemGroup><PackageReference Include="YamlDotNet" /></ItemGroup></Project>""");
        File.WriteAllText(Path.Combine(_directory, "nuget.config"), $"""<configuration><auditSources><clear /><add key="feed" value="{_address}/index.json" allowInsecureConnections="true" /></auditSources></configuration>""");
    }

    public async ValueTask DisposeAsync()
    {
        await _feed.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    [Trait("runs", "soak")]
    public async Task A_known_vulnerability_fails_the_style_check_and_a_missing_feed_nothing()
    {
        var (code, said) = await RestoreAsync("a");
        Assert.True(code == 0 && said.Contains("warning NU1903: Package 'YamlDotNet'", StringComparison.Ordinal), said);
        (code, said) = await RestoreAsync("b", "-p:RunAnalyzers=true");
        Assert.True(code != 0 && said.Contains("error NU1903: Warning As Error: Package 'YamlDotNet'", StringComparison.Ordinal), said);
        await _feed.StopAsync(TestContext.Current.CancellationToken);
        (code, said) = await RestoreAsync("c", "-p:RunAnalyzers=true");
        Assert.True(code == 0 && said.Contains("warning NU1900", StringComparison.Ordinal), said);
    }

    private async Task<(int ExitCode, string Output)> RestoreAsync(string cache, params string[] options)
    {
        var start = new ProcessStartInfo("dotnet", ["restore", "--force", "-v", "m", .. options]) { RedirectStandardOutput = true, WorkingDirectory = _directory };
        // NuGet keeps what feeds said for half an hour.
        start.Environment["NUGET_HTTP_CACHE_PATH"] = Path.Combine(_directory, cache);
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, output);
    }
}
