# SPDX-License-Identifier: MIT
include $(sort $(wildcard $(BR2_EXTERNAL_KOBOSHI_PATH)/package/*/*.mk))

# The kernel fragments say all that is wanted: what no fragment asks for is off, as in the quick
# image's kernel. Buildroot would give the rest Kconfig's defaults, so before its own fixups the
# configuration is made again, once per set of fragments; what linux-menuconfig changes stays.
# Of a symbol that several fragments set the last line counts; to old Kconfig it would be the first.
define KOBOSHI_LINUX_ALLNOCONFIG
	if ! [ $(LINUX_DIR)/koboshi.config -nt $(LINUX_DIR)/.stamp_dotconfig ]; then \
		awk '/^CONFIG_/ { split($$0, word, "="); last[word[1]] = $$0 } \
			/ is not set$$/ { last[$$2] = $$0 } \
			END { for (name in last) print last[name] }' \
			$(LINUX_KCONFIG_FILE) $(LINUX_KCONFIG_FRAGMENT_FILES) \
			> $(LINUX_DIR)/koboshi.config && \
		$(LINUX_KCONFIG_MAKE) allnoconfig \
			KCONFIG_ALLCONFIG=$(LINUX_DIR)/koboshi.config; \
	fi
endef

ifeq ($(BR2_LINUX_KERNEL_USE_CUSTOM_CONFIG),y)
define KOBOSHI_KEEP_LINUX_FIXUPS
define KOBOSHI_LINUX_KCONFIG_FIXUP_CMDS
$(value LINUX_KCONFIG_FIXUP_CMDS)
endef
endef
$(eval $(KOBOSHI_KEEP_LINUX_FIXUPS))
define LINUX_KCONFIG_FIXUP_CMDS
	$(KOBOSHI_LINUX_ALLNOCONFIG)
	$(KOBOSHI_LINUX_KCONFIG_FIXUP_CMDS)
endef
endif

# Before 2.6.24 the kernel had its 64-bit image in arch/x86_64; Buildroot looks in arch/x86.
define KOBOSHI_LINUX_LINK_IMAGE
	if ! [ -e $(LINUX_DIR)/arch/x86 ]; then \
		mkdir -p $(LINUX_DIR)/arch/x86/boot && \
		ln -sf ../../x86_64/boot/bzImage $(LINUX_DIR)/arch/x86/boot/bzImage; \
	fi
endef
LINUX_POST_BUILD_HOOKS += KOBOSHI_LINUX_LINK_IMAGE
