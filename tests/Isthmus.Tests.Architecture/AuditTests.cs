using System.Diagnostics;
using System.Net;
using Isthmus.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Isthmus.Tests.Architecture;

/// <summary>What builds and the style check make of known vulnerabilities, with a feed that has some.</summary>
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
        foreach (var file in (string[])["Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props"])
            File.Copy(Repository.At(file), Path.Combine(_directory, file));
        File.WriteAllText(Path.Combine(_directory, "p.csproj"),
            """<Project Sdk="Microsoft.NET.Sdk"><ItemGroup><PackageReference Include="YamlDotNet" /></ItemGroup></Project>""");
        File.WriteAllText(Path.Combine(_directory, "Isthmus.slnx"), """<Solution><Project Path="p.csproj" /></Solution>""");
        File.WriteAllText(Path.Combine(_directory, "nuget.config"),
            $"""<configuration><auditSources><clear /><add key="feed" value="{_address}/index.json" allowInsecureConnections="true" /></auditSources></configuration>""");
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
        Assert.Contains("warning NU1903: Package 'YamlDotNet'", await BuildAsync("a"), StringComparison.Ordinal);
        var (code, said) = await CheckStyleAsync();
        Assert.True(code == 1 && said.StartsWith("p: warning NU1903: Package 'YamlDotNet'", StringComparison.Ordinal), said);
        await _feed.StopAsync(TestContext.Current.CancellationToken);
        Assert.Contains("warning NU1900", await BuildAsync("b"), StringComparison.Ordinal);
        Assert.Equal((0, ""), await CheckStyleAsync());
    }

    /// <summary>What a build prints that succeeds.</summary>
    private async Task<string> BuildAsync(string cache)
    {
        // NuGet keeps what feeds said for half an hour.
        var (code,
            said) = await RunAsync(["build", "p.csproj", "--force", "-c", "Release", "-v", "m"], ("NUGET_HTTP_CACHE_PATH", Path.Combine(_directory, cache)));
        Assert.True(code == 0, said);
        return said;
    }

    private Task<(int ExitCode, string Output)> CheckStyleAsync() => RunAsync([Repository.At("artifacts/bin/style/release/style.dll"), "artifacts"]);

    private async Task<(int ExitCode, string Output)> RunAsync(string[] arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true, WorkingDirectory = _directory };
        foreach (var (name, value) in environment) start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, output);
    }
}
