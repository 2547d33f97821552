// Generated from docs/openapi.json by npm run generate; do not edit.

export interface paths {
    "/v1/catalogue/dataset": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One dataset and the version a reader takes */
        get: operations["showDataset"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/catalogue/datasets": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Find datasets by words, facets, price, place and time
         * @description All conditions hold together. Found is the version that every reader takes; a version that is rolled out to some readers only is shown to them by /v1/catalogue/dataset.
         */
        get: operations["searchDatasets"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/catalogue/diff": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What two versions say differently, as canonical N-Quads lines */
        get: operations["diffVersions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/catalogue/document": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A public directory as Turtle, N-Quads, JSON-LD, schema.org or Croissant */
        get: operations["readDirectory"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/catalogue/feed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The whole catalogue as DCAT in Turtle, page by page (Hydra paging) */
        get: operations["harvest"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/catalogue/sparql": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * SPARQL 1.1 query (protocol: GET) over all public directories
         * @description Off unless the market’s operator switched it on. Each directory is a graph named after its dataset; the default graph is their union, at most a minute old.
         */
        get: operations["sparql"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/catalogue/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How far the catalogue has read the chain */
        get: operations["catalogueStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/catalogue/versions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Versions of a dataset, newest first */
        get: operations["listVersions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/graphs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Submit orders that read each other’s results
         * @description All are taken or none. Idempotent by the ids of the orders: what is known already is answered as it stands, and 200 when nothing was new.
         */
        post: operations["submitGraph"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/orders": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List orders, newest first
         * @description A signed request without a filter lists the orders of its account.
         */
        get: operations["listOrders"];
        put?: never;
        /**
         * Submit a signed order and its manifest
         * @description Idempotent by the order id: the same order again answers 200 with what became of it.
         */
        post: operations["submitOrder"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/orders/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One order */
        get: operations["getOrder"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/orders/{id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Cancel an own order; what was not earned is given back */
        post: operations["cancelOrder"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/orders/{id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow a job live (server-sent events)
         * @description Each event has the place of its log entry as id; Last-Event-ID resumes after it. A follower far behind gets an event `snapshot` (the order) and goes on from there. Ends with event `end`.
         */
        get: operations["followOrder"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/orders/{id}/receipt": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The receipt: one file that proves offline what ran and what it cost */
        get: operations["getReceipt"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/orders/{id}/result": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The output of a finished job */
        get: operations["getResult"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/orders/{id}/why": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Why an order waits, and every decision about it with its inputs */
        get: operations["explainOrder"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/providers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Providers this market knows */
        get: operations["listProviders"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/quotes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * What a job would cost and when it would end
         * @description Signed and binding for a minute: an order that passes `signed` is charged no more than the quoted price. A quote reserves nothing.
         */
        post: operations["quote"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who this market is and where it stands */
        get: operations["status"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhooks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Your webhooks, and how they do */
        get: operations["listWebhooks"];
        put?: never;
        /**
         * Have events of your orders sent to an address
         * @description At least once, each order’s in their sequence, signed by the market (RFC 9421). The same webhook again answers 200 with the one there is.
         */
        post: operations["addWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhooks/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Remove a webhook and what waits for it */
        delete: operations["removeWebhook"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhooks/{id}/replay": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a range of an order’s events once more
         * @description In their sequence, beside what is live. A second range of the order replaces the first.
         */
        post: operations["replayWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhooks/{id}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Switch a webhook on again; what waits is sent at once */
        post: operations["resumeWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhooks/{id}/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Send an event `test` now and tell what came of it */
        post: operations["testWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        CatalogueEntry: {
            byteSize?: number;
            columns: {
                datatype?: string;
                name: string;
            }[];
            description: string;
            keywords: string[];
            mechanisms: string[];
            mediaTypes: string[];
            modified: string;
            price?: string;
            publisher: {
                iri: string;
                name?: string;
            };
            purpose?: string;
            rowCount?: number;
            spatial?: {
                east: number;
                north: number;
                south: number;
                west: number;
            };
            temporal?: {
                end?: string;
                start?: string;
            };
            themes: {
                iri: string;
                label?: string;
            }[];
            title: string;
            uai: string;
            uses?: number;
            version: string;
        };
        CatalogueSearchResult: {
            /** @description There may be more than `found`: a bound of the search was reached */
            atLeast: boolean;
            facets?: {
                column: {
                    datasets: number;
                    value: string;
                }[];
                keyword: {
                    datasets: number;
                    value: string;
                }[];
                mechanism: {
                    datasets: number;
                    value: string;
                }[];
                mediaType: {
                    datasets: number;
                    value: string;
                }[];
                publisher: {
                    datasets: number;
                    value: string;
                }[];
                purpose: {
                    datasets: number;
                    value: string;
                }[];
                theme: {
                    datasets: number;
                    value: string;
                }[];
            };
            /** @description How many there are, counted up to 1,000 */
            found: number;
            items: components["schemas"]["CatalogueEntry"][];
        };
        CatalogueStatus: {
            datasets: number;
            /** @description Block up to which the catalogue holds everything */
            height: number;
            /** @description Versions whose documents are not shown */
            problems: number;
        };
        Dataset: {
            endpoint?: string;
            entry?: components["schemas"]["CatalogueEntry"];
            grantEpoch: number;
            latest: number;
            owner: string;
            uai: string;
            version: components["schemas"]["DatasetVersion"];
            withdrawn: boolean;
        };
        DatasetVersion: {
            /** @description Of the document, when it does not stand on the chain */
            cid?: string;
            /** @description 32 bytes in lower-case hex */
            completeHash: string;
            fallback?: number;
            height: number;
            /** @description Why its document is not shown */
            problem?: string;
            /** @description 32 bytes in lower-case hex */
            publicHash: string;
            quadCount: number;
            /** @description 32 bytes in lower-case hex */
            quadRoot: string;
            recordedAt: string;
            rollout: {
                activationHeight: number;
                percent: number;
            }[];
            sequence: number;
            version: string;
        };
        DatasetVersions: {
            items: components["schemas"]["DatasetVersion"][];
            uai: string;
        };
        DirectoryDifference: {
            added: string[];
            from: number;
            removed: string[];
            to: number;
            uai: string;
        };
        Graph: {
            /** @description As they were sent */
            items: components["schemas"]["Order"][];
        };
        GraphRequest: {
            /** @description Of one account; those whose results others read come first */
            orders: components["schemas"]["OrderRequest"][];
        };
        JobEvent: {
            data: {
                [key: string]: unknown;
            };
            kind: string;
            /** @description Place in the job log; absent for progress */
            seq?: number;
            /**
             * Format: date-time
             * @description ISO 8601, UTC
             */
            time: string;
        };
        Manifest: {
            /** @description Many tasks of one program */
            array?: {
                /**
                 * @description How replicas decide: more than half of them, or two that agree
                 * @enum {string}
                 */
                check?: "majority" | "adaptive";
                replicas: number;
                /** @description One input per task: from a document that lists them, or from another order */
                taskInput?: {
                    /** @description CID */
                    list?: string;
                    name: string;
                    /** @description 32 bytes in lower-case hex */
                    order?: string;
                };
                tasks: number;
            };
            /** @description CID */
            code: string;
            /** @description Inputs that are results of earlier orders of the same account */
            from?: {
                name: string;
                /** @description 32 bytes in lower-case hex */
                order: string;
                task?: number;
            }[];
            inputs: {
                /** @description CID */
                cid: string;
                name: string;
                sizeBytes: number;
            }[];
            /** @enum {string} */
            kind: "js" | "wasm" | "verifiable";
            limits: {
                cpuMs: number;
                hostCalls: number;
                logBytes: number;
                logLines: number;
                memoryBytes: number;
                outputBytes: number;
                wallMs: number;
            };
            /** @description For verifiable, possible for wasm */
            metering?: {
                /** @description Fuel, decimal */
                checkpointFuel?: string;
                /** @description What the job’s clock says */
                epochMs?: number;
                /** @description Fuel, decimal */
                fuel: string;
            };
            /** @enum {string} */
            minIsolation: "S0" | "S1" | "S2" | "S3" | "S4";
            name: string;
            /** @description JSON text, handed to the job */
            params: string;
            /** @description Where it may run and what matters */
            placement?: {
                /** @description Only these */
                domains?: ("public" | "vetted" | "confidential" | "private")[];
                /** @description Only these */
                levels?: ("eco" | "standard" | "fast" | "assured")[];
                /** @description Among your own waiting orders */
                priority?: number;
                /** @description Only these */
                regions?: string[];
                /** @description How much each matters against the others; instead of the tier’s */
                weights?: {
                    cost: number;
                    risk: number;
                    time: number;
                };
            };
            resources: {
                cores: number;
                diskBytes?: number;
                memoryBytes: number;
            };
            /**
             * @description A cheap, B fast, C safe
             * @enum {string}
             */
            tier: "A" | "B" | "C";
            /** @description A program that says of each result whether it counts */
            validator?: {
                /** @description CID */
                code: string;
                /** @description Smallest units, decimal */
                fuel?: string;
                params: string;
            };
            /** @enum {number} */
            version: 1;
        };
        Order: {
            /**
             * Format: date-time
             * @description ISO 8601, UTC
             */
            acceptedAt: string;
            /** @description Of an order of many tasks */
            array?: {
                done: number;
                failed: number;
                givenUp: {
                    count: number;
                    from: number;
                }[];
                /** @description Batches that the chain has not settled */
                openBatches: number;
                /** @description Units not in anybody’s hands */
                pending: number;
                replicas: number;
                tasks: number;
                /** @description Smallest units, decimal */
                unitPrice: string;
            };
            attempts: number;
            chain: {
                height: number;
                /** @description Smallest units, decimal */
                paid: string;
                /** @description Smallest units, decimal */
                refunded: string;
                state: string;
            };
            /** @description Smallest units, decimal */
            charge?: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC
             */
            completeBy: string;
            /** @description Account, seele1… */
            consumer: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC
             */
            endedAt?: string;
            exit?: string;
            /** @description 32 bytes in lower-case hex */
            id: string;
            /** @description Inputs that other orders make */
            inputs?: {
                /** @description What the job reads of it */
                cid?: string;
                /** @description Each task reads the one of its number */
                isEach?: boolean;
                name: string;
                /** @description 32 bytes in lower-case hex */
                order: string;
                /** @description That order’s result, once it is there */
                result?: string;
                sizeBytes?: number;
                task?: number;
            }[];
            /** @enum {string} */
            kind: "js" | "wasm" | "verifiable";
            log: {
                /** @description 32 bytes in lower-case hex */
                head: string;
                length: number;
            };
            /** @description The market lost its log: there is no receipt, the chain has the money */
            logLost?: boolean;
            /** @description What a run in the metered engine came to */
            metered?: {
                checkpoints: number;
                /** @description 32 bytes in lower-case hex */
                checkpointsRoot: string;
                /** @description 32 bytes in lower-case hex */
                engine: string;
                /** @description Fuel, decimal */
                fuel: string;
                outputBytes: number;
                /** @description 32 bytes in lower-case hex */
                outputChain: string;
            };
            name: string;
            /** @description Smallest units, decimal */
            price?: string;
            /** @description Smallest units, decimal */
            priceCap: string;
            /** @description Account, seele1… */
            provider?: string;
            reason?: {
                code: string;
                text: string;
            };
            /** @description CID */
            result?: string;
            /** @enum {string} */
            status: "blocked" | "queued" | "running" | "paused" | "leased" | "checking" | "delivered" | "closing" | "settled" | "refunded" | "cancelled" | "rejected";
            /**
             * @description A cheap, B fast, C safe
             * @enum {string}
             */
            tier: "A" | "B" | "C";
            usage?: {
                cpuMs: number;
                inputBytes: number;
                outputBytes: number;
                peakMemoryBytes: number;
                wallMs: number;
            };
        };
        OrderList: {
            /** @description Newest first */
            items: components["schemas"]["Order"][];
            /** @description `cursor` of the next page */
            next?: string;
        };
        OrderRequest: {
            manifest: components["schemas"]["Manifest"];
            order: {
                order: {
                    /** @description For an order of many tasks */
                    array?: {
                        replicas: number;
                        tasks: number;
                        /** @description Smallest units, decimal */
                        unitPrice: string;
                    };
                    /** @description Genesis id */
                    chain: string;
                    /** @description Microseconds since the Unix epoch */
                    completeByUs: number;
                    /** @description Account, seele1… or 32 bytes in hex */
                    consumer: string;
                    /** @description CID of the manifest as a dag-cbor block */
                    manifest: string;
                    /** @description Account, seele1… or 32 bytes in hex */
                    market: string;
                    /** @description Microseconds since the Unix epoch */
                    placeByUs: number;
                    /** @description Smallest units, decimal */
                    priceCap: string;
                    salt: string;
                };
                publicKey: string;
                signature: string;
            };
            /** @description `signed` of a quote for this manifest: its price then is the cap */
            quote?: string;
        };
        /** @description RFC 9457 problem details */
        Problem: {
            code: string;
            detail: string;
            fix: string;
            instance?: string;
            status: number;
            title: string;
            type: string;
        };
        Provider: {
            cell: string;
            completed: number;
            /** @description It finishes what it has and takes nothing new */
            draining: boolean;
            faults: number;
            freeSlots: number;
            /**
             * Format: date-time
             * @description ISO 8601, UTC
             */
            lastSeen: string;
            leases: number;
            name: string;
            offer: {
                [key: string]: string | number;
            };
            online: boolean;
            /** @description Account, seele1… */
            provider: string;
        };
        ProviderList: {
            items: components["schemas"]["Provider"][];
        };
        Quote: {
            considered: number;
            /** @description Names the quote */
            id: string;
            /** @description One for each cell that could take it, best first */
            options: {
                /** @description <domain>.<level> */
                cell: string;
                /** @description Smallest units, decimal */
                expectedPrice: string;
                /** @description From the order to its accepted result */
                finishMs: {
                    earliest: number;
                    latest: number;
                    likely: number;
                };
                /** @description Of those, with room now */
                free: number;
                /** @description False while too little was seen for more than a guess */
                isCalibrated: boolean;
                /** @enum {string} */
                isolation: "S0" | "S1" | "S2" | "S3" | "S4";
                name: string;
                /** @description Most that will be charged; what is not used is given back */
                priceCap: string;
                /** @description The best of the cell at this moment */
                provider: string;
                /** @description That could take it */
                providers: number;
                /** @description What is done about wrong results there, and what is left */
                risk: {
                    /** @enum {string} */
                    check: "single" | "quorum" | "replay" | "validator";
                    /** @description Least share of results that somebody else looks at */
                    checkChance: number;
                    /** @description If this share of the operators lied together */
                    colluders: number;
                    /** @description Two that agree decide; who is trusted works alone, checked now and then */
                    isAdaptive: boolean;
                    replicas: number;
                    /** @description Probability that a wrong result is accepted */
                    wrong: number;
                };
                startMs: number;
                /** @description Of many tasks: most for one unit */
                unitPrice?: string;
                /** @description Of many tasks: units that may be paid, replicas too */
                units?: number;
            }[];
            reasons: {
                code: string;
                providers: number;
                text: string;
            }[];
            /** @description The terms and the market’s signature: pass them with an order */
            signed: string;
            /**
             * Format: date-time
             * @description Until then it binds
             */
            validUntil: string;
        };
        QuoteRequest: {
            manifest: components["schemas"]["Manifest"];
            /** @description Smallest units, decimal */
            priceCap?: string;
        };
        Status: {
            /** @description Genesis id */
            chain: string;
            /** @description Last block taken in */
            height: number;
            /** @description What an order names as its market */
            market: string;
            name: string;
            openOrders: number;
            providersOnline: number;
            /** @description Orders with a quote: price and finish kept, or why not */
            quotes: {
                dear: number;
                ended: number;
                failed: number;
                kept: number;
                /** @description Absent until one ended */
                keptShare?: number;
                late: number;
            };
        };
        Webhook: {
            /** Format: date-time */
            createdAt: string;
            /** @description Why it was switched off; events are kept for it meanwhile */
            disabled?: {
                /** Format: date-time */
                at: string;
                code: string;
                fix: string;
                text: string;
            };
            events: string[];
            /** Format: date-time */
            failingSince?: string;
            id: string;
            /**
             * Format: date-time
             * @description Since the market started, or when it last recovered
             */
            lastDelivered?: string;
            lastFailure?: {
                code: string;
                text: string;
            };
            /** @description Orders whose events were given up or not kept; replay them */
            missed: number;
            order?: string;
            /** @enum {string} */
            status: "active" | "failing" | "disabled";
            url: string;
            /** @description Orders with events that it has not taken */
            waiting: number;
        };
        WebhookEvent: {
            chain: string;
            data: {
                [key: string]: unknown;
            };
            /** @description `data` was left out: read it from the events */
            dataTooLarge?: boolean;
            /** @description The idempotency key, `<order>-<seq>`: the same in every attempt */
            id: string;
            kind: string;
            /** @description Account of the market that signed the request */
            market: string;
            /** @description Absent in a test */
            order?: string;
            /** @description Place in the order’s log; absent in a test */
            seq?: number;
            /** Format: date-time */
            time: string;
            webhook: string;
        };
        WebhookList: {
            items: components["schemas"]["Webhook"][];
        };
        WebhookReplay: {
            /** @description Events of the range; those of other kinds are not sent */
            queued: number;
        };
        WebhookReplayRequest: {
            /** @description Sequence number of the first event */
            from: number;
            order: string;
            /** @description Of the last; absent: all there are by now */
            to?: number;
        };
        WebhookRequest: {
            /** @description Kinds of events (`*`: all); absent: the steps of the order, not its log lines */
            events?: string[];
            /** @description Only this order, which may be submitted later; absent: all of the account */
            order?: string;
            /** @description https, public host, no credentials */
            url: string;
        };
        WebhookTest: {
            delivered: boolean;
            failure?: {
                code: string;
                fix: string;
                text: string;
            };
            /** @description What the receiver answered */
            status?: number;
            tookMs: number;
        };
        Why: {
            decisions: {
                /** @description What the decision was made from */
                inputs: {
                    [key: string]: unknown;
                };
                kind: string;
                text: string;
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC
                 */
                time: string;
            }[];
            /** @description 32 bytes in lower-case hex */
            id: string;
            reason?: {
                code: string;
                text: string;
            };
            /** @enum {string} */
            status: "blocked" | "queued" | "running" | "paused" | "leased" | "checking" | "delivered" | "closing" | "settled" | "refunded" | "cancelled" | "rejected";
            /** @description While it waits for a provider */
            waiting?: {
                /** @description The same by cell */
                cells: {
                    cell: string;
                    fitting: number;
                    free: number;
                    /** @description The others, by filter */
                    left: {
                        [key: string]: number;
                    };
                    providers: number;
                }[];
                considered: number;
                /** @description Why the others cannot take it now */
                filters: {
                    code: string;
                    providers: number;
                    /** @description Reads after the number of providers */
                    text: string;
                }[];
                /** @description Providers that could ever take it */
                fitting: number;
                /** @description Of those, with room now */
                free: number;
                /** @description Smallest changes with which it would run; empty when somebody fits */
                relaxations: {
                    cell: string;
                    changes: {
                        field: string;
                        from: string;
                        to: string;
                    }[];
                    /** @description Most it would then cost */
                    price: string;
                    /** @description Account, seele1… */
                    provider: string;
                }[];
                /** @description Your dominant share, your waiting orders, all waiting orders and whose */
                tenant: {
                    accounts: number;
                    own: number;
                    share: number;
                    waiting: number;
                };
                /** @description What it waits for */
                text: string;
            };
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    showDataset: {
        parameters: {
            query: {
                /** @description Who reads: roll-outs choose by it */
                reader?: string;
                /** @description Number of a version */
                sequence?: number;
                /** @description UAI, chain://… */
                uai: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Dataset"];
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unknown */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Busy or a part is down; Retry-After says when */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    searchDatasets: {
        parameters: {
            query?: {
                column?: string | string[];
                facets?: "true" | "false";
                from?: string;
                keyword?: string | string[];
                limit?: number;
                maxPrice?: string;
                mechanism?: string | string[];
                mediaType?: string | string[];
                offset?: number;
                /** @description west,south,east,north in degrees */
                place?: string;
                publisher?: string | string[];
                purpose?: string | string[];
                /** @description Words that all occur; word* and "a phrase" */
                text?: string;
                theme?: string | string[];
                to?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CatalogueSearchResult"];
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Busy or a part is down; Retry-After says when */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    diffVersions: {
        parameters: {
            query: {
                /** @description Number of a version */
                from?: number;
                /** @description Number of a version */
                to?: number;
                /** @description UAI, chain://… */
                uai: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DirectoryDifference"];
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unknown */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Busy or a part is down; Retry-After says when */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readDirectory: {
        parameters: {
            query: {
                format?: "turtle" | "n-quads" | "json-ld" | "schema.org" | "croissant";
                /** @description Who reads: roll-outs choose by it */
                reader?: string;
                /** @description Number of a version */
                sequence?: number;
                /** @description UAI, chain://… */
                uai: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unknown */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Busy or a part is down; Retry-After says when */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    harvest: {
        parameters: {
            query?: {
                after?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Busy or a part is down; Retry-After says when */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    sparql: {
        parameters: {
            query: {
                /** @description SPARQL 1.1 query; updates are refused */
                query: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Busy or a part is down; Retry-After says when */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    catalogueStatus: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CatalogueStatus"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Busy or a part is down; Retry-After says when */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listVersions: {
        parameters: {
            query: {
                /** @description UAI, chain://… */
                uai: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DatasetVersions"];
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unknown */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Busy or a part is down; Retry-After says when */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    submitGraph: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["GraphRequest"];
            };
        };
        responses: {
            /** @description Were accepted before */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Graph"];
                };
            };
            /** @description Accepted and durable */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Graph"];
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not signed, or the signature is not valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Prepaid balance does not cover the order */
            402: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not yours */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not possible in the present state */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Over a size limit */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Busy or a part is down; Retry-After says when */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listOrders: {
        parameters: {
            query?: {
                /** @description Account, seele1… or 32 bytes in hex */
                consumer?: string;
                /** @description `next` of the page before */
                cursor?: string;
                limit?: number;
                /** @description Account, seele1… or 32 bytes in hex */
                provider?: string;
                status?: "blocked" | "queued" | "running" | "paused" | "leased" | "checking" | "delivered" | "closing" | "settled" | "refunded" | "cancelled" | "rejected";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OrderList"];
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not signed, or the signature is not valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    submitOrder: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["OrderRequest"];
            };
        };
        responses: {
            /** @description Was accepted before */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Order"];
                };
            };
            /** @description Accepted and durable */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Order"];
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not signed, or the signature is not valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Prepaid balance does not cover the order */
            402: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not possible in the present state */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Over a size limit */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Busy or a part is down; Retry-After says when */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getOrder: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Order id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Order"];
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unknown */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    cancelOrder: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Order id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Order"];
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not signed, or the signature is not valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not yours */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unknown */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not possible in the present state */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    followOrder: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Order id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": string;
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not signed, or the signature is not valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not yours */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unknown */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Busy or a part is down; Retry-After says when */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getReceipt: {
        parameters: {
            query?: {
                /** @description Only of this task of an order of many */
                task?: number;
            };
            header?: never;
            path: {
                /** @description Order id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/cbor": string;
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not signed, or the signature is not valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not yours */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unknown */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not possible in the present state */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not there any more */
            410: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Busy or a part is down; Retry-After says when */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getResult: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Order id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": string;
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not signed, or the signature is not valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not yours */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unknown */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not possible in the present state */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Busy or a part is down; Retry-After says when */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    explainOrder: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Order id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Why"];
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not signed, or the signature is not valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not yours */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unknown */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listProviders: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProviderList"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    quote: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["QuoteRequest"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Quote"];
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Over a size limit */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    status: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Status"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listWebhooks: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookList"];
                };
            };
            /** @description Not signed, or the signature is not valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    addWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["WebhookRequest"];
            };
        };
        responses: {
            /** @description Was added before */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Webhook"];
                };
            };
            /** @description Added and durable */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Webhook"];
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not signed, or the signature is not valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not yours */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not possible in the present state */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    removeWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Webhook id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is gone */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not signed, or the signature is not valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unknown */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    replayWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Webhook id */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["WebhookReplayRequest"];
            };
        };
        responses: {
            /** @description Queued and durable */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookReplay"];
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not signed, or the signature is not valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not yours */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unknown */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    resumeWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Webhook id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Webhook"];
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not signed, or the signature is not valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unknown */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    testWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Webhook id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookTest"];
                };
            };
            /** @description Malformed request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Not signed, or the signature is not valid */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Unknown */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too many requests; Retry-After says when */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
