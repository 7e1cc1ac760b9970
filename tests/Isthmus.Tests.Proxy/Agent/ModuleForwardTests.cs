using System.Threading.Channels;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.EnvoyPlane.Modules;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.WasmPlugins;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using HttpRbac = Isthmus.Wire.Envoy.HttpFilters.RBAC;
using HttpWasm = Isthmus.Wire.Envoy.HttpFilters.Wasm;
using NetworkRbac = Isthmus.Wire.Envoy.NetworkFilters.RBAC;
using NetworkWasm = Isthmus.Wire.Envoy.NetworkFilters.Wasm;
using TypedStruct = Isthmus.Wire.Envoy.XdsTypes.TypedStruct;
using TypeUrls = Isthmus.Wire.Xds.TypeUrls;

namespace Isthmus.Tests.Proxy.Agent;

/// <summary>The configuration of plugins on its way through an agent to its Envoy.</summary>
public sealed class ModuleForwardTests : IAsyncDisposable
{
    private static readonly byte[] Module = WasmModule.AddingHeader("x-wasm");

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-test-").FullName;
    private readonly ModuleStore _store;
    private readonly ModuleForward _forward;
    private readonly Channel<DeltaDiscoveryResponse> _sent = Channel.CreateUnbounded<DeltaDiscoveryResponse>();
    private readonly CancellationTokenSource _end = new();
    private readonly Task _running;
    private volatile bool _serves = true;
    private OriginServer? _server;

    public ModuleForwardTests()
    {
        var clock = new ImpatientClock();
        _store = new(Path.Combine(_directory, "wasm"), new(clock, new Random(1), new ProcessSockets(), new SystemResolver()), []);
        _forward = new(_store, TimeProvider.System, NullLogger.Instance) { FirstPause = TimeSpan.FromMilliseconds(10) };
        _running = _forward.RunAsync((response, stop) => _sent.Writer.WriteAsync(response, stop), _end.Token);
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _running.ContinueWith(_ => { }, TaskScheduler.Default);
        _store.Dispose();
        _end.Dispose();
        if (_server is not null) await _server.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task Envoy_gets_a_file_and_nothing_that_is_for_agents()
    {
        var url = await ServeAsync();
        await _forward.TakeAsync(Answer(Http("a", url, FailurePolicy.FailClosed)), Stop);
        var answer = await _sent.Reader.ReadAsync(Stop);
        Assert.Equal(("n1", "v1"), (answer.Nonce, answer.SystemVersionInfo));
        var config = Read<HttpWasm>(answer).Config;
        Assert.Equal(Module, await File.ReadAllBytesAsync(config.VmConfig.Code.Local.Filename, Stop));
        Assert.Equal(["MODE"], config.VmConfig.EnvironmentVariables.KeyValues.Keys);
    }

    /// <summary>As EnvoyFilters have it.</summary>
    [Fact]
    public async Task A_module_in_a_TypedStruct_is_fetched_and_other_configuration_stays_as_it_is()
    {
        var fields = Struct.Parser.ParseJson($$"""
            {"config": {"reload_config": {"backoff": {"base_interval": "1s"} }, "allow_on_headers_stop_iteration": false,
              "capability_restriction_config": {"allowed_capabilities": {"fd_write": {} } },
              "vm_config": {"capability_restriction_config": {"allowed_capabilities": {"clock_time_get": {} } }, "code": {"remote": {
                "retry_policy": {"num_retries": 2, "retry_back_off": {"base_interval": "1s"} }, "http_uri": {"uri": "{{await ServeAsync()}}",
                  "timeout": "30s"} } } } } }
            """);
        await _forward.TakeAsync(Answer(Typed("envoy.extensions.filters.http.wasm.v3.Wasm", fields)), Stop);
        var config = Read<HttpWasm>(await _sent.Reader.ReadAsync(Stop)).Config;
        Assert.Equal(["fd_write"], config.CapabilityRestrictionConfig.AllowedCapabilities.Keys);
        Assert.Equal(["clock_time_get"], config.VmConfig.CapabilityRestrictionConfig.AllowedCapabilities.Keys);
        var code = config.VmConfig.Code;
        Assert.Equal(Module, await File.ReadAllBytesAsync(code.Local.Filename, Stop));
        var lua = Typed("envoy.extensions.filters.http.lua.v3.Lua", new());
        await _forward.TakeAsync(Answer(lua), Stop);
        Assert.Equal(lua.TypedConfig.Unpack<TypedStruct>(), Read<TypedStruct>(await _sent.Reader.ReadAsync(Stop)));
    }

    /// <summary>Each of them would end the stream of all configuration if it were not caught.</summary>
    [Theory]
    [InlineData("""{"config": {"configuration": {"@type": "type.googleapis.com/no.such.Type"} } }""")]
    [InlineData("""{"config": {"no_such_field": 1} }""")]
    public async Task What_cannot_be_read_Envoy_gets_as_it_is(string fields)
    {
        var odd = Typed("envoy.extensions.filters.http.wasm.v3.Wasm", Struct.Parser.ParseJson(fields));
        await _forward.TakeAsync(Answer(odd), Stop);
        Assert.Equal(odd.TypedConfig.Unpack<TypedStruct>(), Read<TypedStruct>(await _sent.Reader.ReadAsync(Stop)));
        var late = Http("a", "http://127.0.0.1:1/", FailurePolicy.FailClosed);
        Assert.True(late.TypedConfig.TryRead(out HttpWasm wasm));
        wasm.Config.VmConfig.Code.Remote.HttpUri.Timeout = new() { Seconds = 1, Nanos = -1 };
        late.TypedConfig = TypeNames.Pack(wasm);
        await _forward.TakeAsync(Answer(late), Stop);
        Assert.Equal(wasm, Read<HttpWasm>(await _sent.Reader.ReadAsync(Stop)));
        await _forward.TakeAsync(Answer(Http("a", await ServeAsync(), FailurePolicy.FailClosed)), Stop);
        Assert.NotNull(Read<HttpWasm>(await _sent.Reader.ReadAsync(Stop)).Config.VmConfig.Code.Local);
    }

    private static TypedExtensionConfig Typed(string type, Struct fields) =>
        new() { Name = "a", TypedConfig = TypeNames.Pack(new TypedStruct { TypeUrl = $"type.googleapis.com/{type}", Value = fields }) };

    [Theory]
    [InlineData(FailurePolicy.FailClosed, false)]
    [InlineData(FailurePolicy.FailReload, false)]
    [InlineData(FailurePolicy.FailOpen, true)]
    public async Task Without_the_module_calls_pass_or_are_refused_until_it_can_be_had(FailurePolicy policy, bool passes)
    {
        _serves = false;
        var url = await ServeAsync();
        await _forward.TakeAsync(Answer(Http("a", url, policy)), Stop);
        Assert.Equal(passes, Read<HttpRbac>(await _sent.Reader.ReadAsync(Stop)).Rules is null);
        _serves = true;
        var later = await _sent.Reader.ReadAsync(Stop);
        Assert.NotNull(Read<HttpWasm>(later).Config.VmConfig.Code.Local);
        // The control plane has not sent it, so it hears no answer to it; but what is new in the same request.
        Assert.Null(_forward.Heard(new() { TypeUrl = TypeUrls.ExtensionConfig, ResponseNonce = later.Nonce }));
        var heard = _forward.Heard(new() { TypeUrl = TypeUrls.ExtensionConfig, ResponseNonce = later.Nonce, ResourceNamesSubscribe = { "b" } });
        Assert.Equal(("", "b"), (heard!.ResponseNonce, heard.ResourceNamesSubscribe.Single()));
        Assert.Equal("n1", _forward.Heard(new() { TypeUrl = TypeUrls.ExtensionConfig, ResponseNonce = "n1" })!.ResponseNonce);
    }

    [Theory]
    [InlineData(FailurePolicy.FailClosed, false)]
    [InlineData(FailurePolicy.FailOpen, true)]
    public async Task The_same_holds_for_connections_and_for_files_that_are_not_there(FailurePolicy policy, bool passes)
    {
        var wasm = new NetworkWasm
        {
            Config = new() { FailurePolicy = policy, VmConfig = new() { Code = new() { Local = new() { Filename = "/no/such.wasm" } } } }
        };
        await _forward.TakeAsync(Answer(new TypedExtensionConfig { Name = "a", TypedConfig = TypeNames.Pack(wasm) }), Stop);
        Assert.Equal(passes, Read<NetworkRbac>(await _sent.Reader.ReadAsync(Stop)).Rules is null);
    }

    [Fact]
    public async Task A_missing_Secret_is_a_missing_module()
    {
        var config = Http("a", await ServeAsync(), FailurePolicy.FailClosed);
        Assert.True(config.TypedConfig.TryRead(out HttpWasm wasm));
        wasm.Config.VmConfig.EnvironmentVariables.KeyValues["ISTIO_META_WASM_IMAGE_PULL_SECRET"] = "";
        config.TypedConfig = TypeNames.Pack(wasm);
        await _forward.TakeAsync(Answer(config), Stop);
        Assert.NotNull(Read<HttpRbac>(await _sent.Reader.ReadAsync(Stop)).Rules);
    }

    [Fact]
    public async Task Other_filters_pass_as_they_are()
    {
        var other = new TypedExtensionConfig { Name = "a", TypedConfig = TypeNames.Pack(new HttpRbac { RulesStatPrefix = "mine" }) };
        await _forward.TakeAsync(Answer(other), Stop);
        Assert.Equal("mine", Read<HttpRbac>(await _sent.Reader.ReadAsync(Stop)).RulesStatPrefix);
    }

    private async Task<string> ServeAsync()
    {
        _server = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            if (_serves) return context.Response.Body.WriteAsync(Module).AsTask();
            context.Response.StatusCode = 404;
            return Task.CompletedTask;
        });
        return $"http://127.0.0.1:{_server.Port}/a.wasm";
    }

    private static TypedExtensionConfig Http(string name, string url, FailurePolicy policy) => new()
    {
        Name = name,
        TypedConfig = TypeNames.Pack(new HttpWasm
        {
            Config = new()
            {
                FailurePolicy = policy,
                VmConfig = new()
                {
                    Code = new() { Remote = new() { HttpUri = new() { Uri = url, Cluster = "_", Timeout = Duration.FromTimeSpan(TimeSpan.FromSeconds(30)) } } },
                    EnvironmentVariables = new() { KeyValues = { ["MODE"] = "strict", ["ISTIO_META_WASM_PLUGIN_RESOURCE_VERSION"] = "1" } },
                },
            },
        }),
    };

    private static DeltaDiscoveryResponse Answer(TypedExtensionConfig config) => new()
    {
        TypeUrl = TypeUrls.ExtensionConfig, Nonce = "n1", SystemVersionInfo = "v1",
        Resources = { new Resource { Name = config.Name, Version = "1", Resource_ = TypeNames.Pack(config) } },
    };

    private static T Read<T>(DeltaDiscoveryResponse answer) where T : class, IMessage<T>, new()
    {
        var config = TypedExtensionConfig.Parser.ParseFrom(Assert.Single(answer.Resources).Resource_.Value);
        Assert.True(config.TypedConfig.TryRead(out T message), config.TypedConfig.TypeUrl);
        return message;
    }
}
